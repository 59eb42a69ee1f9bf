"""From a task to accepted examples: plan, prompt, attempt, cleaning, acceptance, label filter."""
