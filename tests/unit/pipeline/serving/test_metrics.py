"""Counters in Prometheus' text format."""

from prometheus_client.parser import text_string_to_metric_families

from pipeline.serving.metrics import Metrics


def test_the_text_reads_back():
    waiting = [7]
    metrics = Metrics(lambda: waiting[0])
    metrics.requests.labels("/v1/samples", "200").inc()
    metrics.batches.observe(3)
    metrics.serves("models:/a@champion", "1", "f" * 64)
    metrics.serves("models:/a@champion", "2", "e" * 64)
    samples = {
        (s.name, s.labels.get("version", "")): s.value
        for family in text_string_to_metric_families(metrics.text().decode())
        for s in family.samples
        if not s.name.endswith("_created")
    }
    assert samples["sgan_requests_total", ""] == 1
    assert samples["sgan_batch_images_sum", ""] == 3
    assert samples["sgan_images_waiting", ""] == 7
    assert samples["sgan_model", "2"] == 1
    assert ("sgan_model", "1") not in samples, "one model at a time"
