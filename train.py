"""Train a student on a synthetic or gold dataset and score it on gold."""

import hydra
from omegaconf import DictConfig

from japagen.config import schema
from japagen.job import job

schema.register(schema.TrainConfig)


@hydra.main(version_base="1.3", config_path="conf", config_name="train")
def main(cfg: DictConfig) -> float | None:
    with job.job():
        from japagen.train import run

        return run(cfg)
    return None


if __name__ == "__main__":
    with job.command(schema.TrainConfig, __doc__):
        main()
