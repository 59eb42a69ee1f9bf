"""Write a synthetic dataset with an LLM."""

import hydra
from omegaconf import DictConfig

from japagen.config import schema
from japagen.job import job

schema.register(schema.GenerateConfig)


@hydra.main(version_base="1.3", config_path="conf", config_name="generate")
def main(cfg: DictConfig) -> None:
    with job.job():
        from japagen.generate import run

        run(cfg)


if __name__ == "__main__":
    with job.command(schema.GenerateConfig, __doc__):
        main()
