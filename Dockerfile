# JapaGen on a CPU, with the embedded models. Data, results and the model cache stay in the current folder:
#   docker build -t japagen .
#   docker run --rm -it -v "$PWD:/data" japagen generate task=hotel_reviews prompt=knowledge filter=verified num_per_label=32
#   docker run --rm -it -v "$PWD:/data" -p 5000:5000 --entrypoint mlflow japagen ui --host 0.0.0.0
FROM python:3.11-slim
COPY . /src
# torch's own index has a CPU build; PyPI's is several gigabytes larger.
RUN pip install --no-cache-dir --extra-index-url https://download.pytorch.org/whl/cpu "/src[embedded]" \
    && rm -rf /src
ENV JAPAGEN_CACHE=/data/.japagen
WORKDIR /data
ENTRYPOINT ["japagen"]
