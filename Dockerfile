# One image for every part: optimize, worker, rate, studio.
# docker build --tag fabric-bo . ; docker run --gpus all fabric-bo --version
FROM python:3.11-slim

# Drivers of the host are mounted by the container toolkit; torch's wheels bring the rest of CUDA.
WORKDIR /app
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY fabric fabric
COPY objectives objectives
COPY optimizer optimizer
COPY experiments experiments
RUN pip install --no-cache-dir -c constraints.txt '.[postgres,grpc,s3,ray]'

# Not root: nothing that a plug-in or a checkpoint does reaches the image.
RUN useradd --create-home --uid 1000 fabric
USER fabric
WORKDIR /home/fabric
ENTRYPOINT ["fabric-bo"]
