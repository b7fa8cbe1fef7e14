"""report: draw the page of the run that evaluate measured."""

from dataclasses import replace

from pipeline import paths
from pipeline.execution.stage import opened
from pipeline.report.contents import ReportData
from pipeline.report.facts import waits
from pipeline.report.gather import build_report, evaluated
from pipeline.report.pages import write_report
from pipeline.report.record import StageFact


def main() -> None:
    """Writes artifacts/report/report.html and logs it to an MLflow run of its own.

    Raises UserError where there is nothing to draw; its MLflow run is FAILED then.
    """
    with opened("report") as stage:
        with stage.run("evaluate") as run:
            facts = evaluated(stage.root)
            run.set_tags({"sgan.data_digest": facts.data_digest})
            data = build_report(stage.root, facts)
            needs = waits(stage.root).get(stage.name, ())
            link = stage.tracker.run_page(run.run_id)
            own = StageFact(stage.name, stage.seconds(), needs, link=link, run_id=run.run_id)
            page = write_report(stage.path(paths.REPORT_PAGE), _with(data, own))
            run.log_artifact(page, "report")
        print(f"report: {paths.REPORT_PAGE}, {stage.seconds()} s")


def _with(data: ReportData, own: StageFact) -> ReportData:
    return replace(data, stages=[*data.stages, own]) if data.stages else data
