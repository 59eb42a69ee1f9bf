"""Score on gold: the LLM prompted for the answer, a saved student, or a synthetic dataset."""

import hydra
from omegaconf import DictConfig

from japagen.config import schema
from japagen.job import job

schema.register(schema.EvaluateConfig)


@hydra.main(version_base="1.3", config_path="conf", config_name="evaluate")
def main(cfg: DictConfig) -> float | None:
    with job.job():
        from japagen.evaluate import run

        return run(cfg)
    return None


if __name__ == "__main__":
    with job.command(schema.EvaluateConfig, __doc__):
        main()
