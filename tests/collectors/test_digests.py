"""CloudTrail digests: what a whole chain proves, and what each attack on one leaves to see."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from onshore_collectors.__main__ import main
from signed_digests import SOURCE, Chain, listed_keys, private_key, rewrite, stamp

if TYPE_CHECKING:
    from tests.collectors.conftest import Inbox

PUBLISHED = Path(__file__).parents[3] / "shared" / "data" / "otel-contrib" / "awslogsencodingextension"
HOURS = range(1, 5)


@pytest.fixture
def chain(tmp_path: Path) -> Chain:
    """Four digests of two log files each, the newest with its metadata, and the keys."""
    chain = Chain(tmp_path / "bucket")
    for hour in HOURS:
        chain.digest(hour)
    chain.keep_metadata()
    (tmp_path / "keys.json").write_text(listed_keys(chain.key))
    return chain


class Told:
    """What a run of the command said, and how it ended."""

    def __init__(self, code: int, printed: str) -> None:
        self.code, self.report = code, json.loads(printed)

    def outcomes(self, kind: str) -> list[str]:
        return [each["outcome"] for each in self.report["findings"] if each["kind"] == kind]

    def bad(self) -> list[tuple[str, str, str]]:
        """Kind, outcome and reason of what is not valid."""
        found = self.report["findings"]
        return [(each["kind"], each["outcome"], each["reason"]) for each in found if each["outcome"] != "valid"]


@pytest.fixture
def verify(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*arguments: str, keys: bool = True) -> Told:
        given = ["--public-keys", str(tmp_path / "keys.json")] if keys else []
        folder = str(tmp_path / "bucket")
        code = main(["collect", "cloudtrail-digests", folder, "--no-send", "--json", *given, *arguments])
        return Told(code, capsys.readouterr().out)

    return run


def test_a_whole_chain_and_its_log_files_are_valid(chain: Chain, verify: Any) -> None:
    told = verify()
    assert told.code == 0
    assert (told.outcomes("digest"), told.outcomes("log"), told.bad()) == (["valid"] * 4, ["valid"] * 8, [])
    assert told.report["chains"] == [
        {
            "source": SOURCE,
            "digests": 4,
            "valid": 4,
            "from": "2026-07-10T00:00:00+00:00",
            "to": "2026-07-10T04:00:00+00:00",
        }
    ]
    assert chain.last is not None


def test_the_newest_digest_without_its_metadata_could_not_be_verified(chain: Chain, verify: Any) -> None:
    Path(str(chain.digests[-1]) + ".metadata.json").unlink()
    told = verify()
    assert told.code == 2
    assert told.outcomes("digest") == ["valid", "valid", "valid", "unverifiable"]
    # The log files of the newest digest fit it, but nobody says that the digest is CloudTrail's.
    assert told.outcomes("log") == ["valid"] * 6 + ["unverifiable"] * 2


@pytest.mark.usefixtures("chain")
def test_up_to_an_earlier_time_everything_is_valid(chain: Chain, verify: Any) -> None:
    Path(str(chain.digests[-1]) + ".metadata.json").unlink()
    told = verify("--until", stamp(3))
    assert (told.code, told.outcomes("digest"), told.outcomes("log")) == (0, ["valid"] * 3, ["valid"] * 6)
    assert verify("--from", stamp(1), "--until", stamp(3)).outcomes("digest") == ["valid"] * 2


@pytest.mark.usefixtures("chain")
def test_without_keys_nothing_is_verified(verify: Any) -> None:
    told = verify(keys=False)
    assert (told.code, set(told.outcomes("digest"))) == (2, {"unverifiable"})
    assert {reason for _, _, reason in told.bad() if "key" in reason} == {
        "no key with the fingerprint 31e8b5433410dfb61a9dc45cc65b22ff was given"
    }


def test_an_altered_log_file_is_invalid(chain: Chain, verify: Any) -> None:
    chain.logs[3].write_bytes(gzip.compress(b'{"Records":[]}'))
    told = verify()
    assert told.code == 1
    assert told.bad() == [("log", "invalid", "was altered: its digest holds another hash of it")]


def test_a_log_file_packed_anew_is_still_valid(chain: Chain, verify: Any) -> None:
    chain.logs[3].write_bytes(gzip.compress(gzip.decompress(chain.logs[3].read_bytes()), compresslevel=1))
    assert verify().code == 0


def test_a_log_file_that_was_cut_is_invalid(chain: Chain, verify: Any) -> None:
    chain.logs[3].write_bytes(chain.logs[3].read_bytes()[:-12])
    told = verify()
    assert (told.code, [bad[:2] for bad in told.bad()]) == (1, [("log", "invalid")])


def test_a_log_file_that_is_gone_is_missing(chain: Chain, verify: Any) -> None:
    chain.logs[3].unlink()
    told = verify()
    assert (told.code, told.bad()) == (1, [("log", "missing", "is not here; its digest lists it")])


def test_a_log_file_that_no_digest_lists_is_not_vouched_for(chain: Chain, verify: Any) -> None:
    chain.log(2, 59)
    told = verify()
    assert (told.code, told.bad()) == (2, [("log", "unverifiable", "no digest among these files lists it")])


def test_a_digest_taken_out_of_the_middle_is_missing(chain: Chain, verify: Any) -> None:
    chain.digests[1].unlink()
    told = verify()
    missing = next(each for each in told.report["findings"] if each["outcome"] == "missing")
    assert (told.code, missing["kind"], missing["source"]) == (1, "digest", SOURCE)
    assert (missing["from"], missing["to"]) == (stamp(1), stamp(2))
    # The first one lost the digest that holds its signature.
    assert told.outcomes("digest").count("valid") == 2


def test_digests_taken_from_the_beginning_leave_a_valid_rest(chain: Chain, verify: Any) -> None:
    chain.digests[0].unlink()
    told = verify("--digests-only")
    assert (told.code, told.outcomes("digest")) == (0, ["valid"] * 3)
    assert told.report["chains"][0]["from"] == "2026-07-10T01:00:00+00:00"


def test_an_altered_digest_is_invalid_and_so_is_nothing_it_lists(chain: Chain, verify: Any) -> None:
    rewrite(chain.digests[1], logFiles=[])
    told = verify()
    assert told.code == 1
    assert ("digest", "invalid", "was altered: the next digest, which is valid, holds another hash of it") in told.bad()


def test_an_altered_newest_digest_is_invalid(chain: Chain, verify: Any) -> None:
    rewrite(chain.digests[-1], digestStartTime=stamp(2))
    told = verify()
    assert told.code == 1
    assert ("digest", "invalid", "its signature does not fit") in told.bad()


def test_a_swapped_signature_shows_in_the_digest_that_holds_it(chain: Chain, verify: Any) -> None:
    other = json.loads(gzip.decompress(chain.digests[1].read_bytes()))["previousDigestSignature"]
    rewrite(chain.digests[2], previousDigestSignature=other)
    told = verify("--digests-only")
    assert (told.code, told.outcomes("digest")[2]) == (1, "invalid")
    # What was proved by that signature is no longer; it is not called altered.
    assert told.outcomes("digest")[1] == "unverifiable"


def test_another_key_of_the_same_fingerprint_fits_nothing(chain: Chain, verify: Any, tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text(listed_keys(private_key("another")))
    told = verify("--digests-only")
    assert (told.code, told.outcomes("digest")) == (1, [*["unverifiable"] * 3, "invalid"])
    assert told.outcomes("digest") == verify("--digests-only", "--bucket", chain.bucket).outcomes("digest")


@pytest.mark.usefixtures("chain")
def test_a_key_that_was_not_in_use_then_proves_nothing(chain: Chain, verify: Any, tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text(listed_keys(chain.key, ValidityEndTime=1783641600))
    told = verify("--digests-only")
    assert told.code == 1
    assert ("digest", "invalid", "is signed with a key that was not in use then") in told.bad()


def test_an_empty_digest_proves_that_nothing_was_logged(tmp_path: Path, verify: Any) -> None:
    chain = Chain(tmp_path / "bucket")
    for hour in HOURS:
        chain.digest(hour, logs=0)
    chain.keep_metadata()
    (tmp_path / "keys.json").write_text(listed_keys(chain.key))
    told = verify()
    assert (told.code, told.outcomes("digest"), told.outcomes("log")) == (0, ["valid"] * 4, [])


def test_a_digest_for_another_bucket_does_not_belong(chain: Chain, verify: Any, tmp_path: Path) -> None:
    other = Chain(tmp_path / "other", bucket="someone-elses")
    other.digest(1)
    other.digest(2)
    chain.digests[1].write_bytes(other.digests[1].read_bytes())
    told = verify("--digests-only")
    assert told.code == 1
    assert (
        "digest",
        "invalid",
        "says that its bucket is someone-elses; the next digest looks for it in logs-bucket",
    ) in told.bad()


@pytest.mark.usefixtures("chain")
def test_a_whole_chain_of_another_bucket_is_known_when_the_bucket_is_said(verify: Any) -> None:
    told = verify("--bucket", "my-bucket", "--digests-only")
    assert (told.code, set(told.outcomes("digest"))) == (1, {"invalid"})
    assert verify("--bucket", "logs-bucket").code == 0


def test_a_digest_under_another_name_is_invalid(chain: Chain, verify: Any) -> None:
    chain.digests[0].rename(chain.digests[0].with_name(chain.digests[0].name.replace("T01", "T00")))
    told = verify("--digests-only")
    assert told.code == 1
    assert any(reason.startswith("lies here as") for _, _, reason in told.bad())


def test_a_time_that_no_digest_covers_is_a_gap(tmp_path: Path, verify: Any) -> None:
    chain = Chain(tmp_path / "bucket")
    chain.digest(1)
    chain.digest(3)
    chain.keep_metadata()
    (tmp_path / "keys.json").write_text(listed_keys(chain.key))
    told = verify()
    assert told.code == 1
    assert told.bad() == [("time", "gap", "no digest covers this time")]
    gap = next(each for each in told.report["findings"] if each["kind"] == "time")
    assert (gap["from"], gap["to"]) == (stamp(1), stamp(2))


def test_a_chain_that_begins_anew_is_a_gap(tmp_path: Path, verify: Any) -> None:
    chain = Chain(tmp_path / "bucket")
    chain.digest(1)
    chain.keep_metadata()
    again = Chain(tmp_path / "bucket")
    again.digest(4)
    again.keep_metadata()
    (tmp_path / "keys.json").write_text(listed_keys(chain.key))
    told = verify()
    assert told.code == 1
    assert told.bad() == [("time", "gap", "the chain begins anew: logging was off, or digests were taken away")]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"logFiles": 1}', b'{"logFiles": []}', b"\xff\xfe{"])
def test_a_digest_that_cannot_be_read_is_invalid(chain: Chain, verify: Any, content: bytes) -> None:
    chain.digests[1].write_bytes(content)
    told = verify("--digests-only")
    assert told.code == 1
    assert [each["name"] for each in told.report["findings"] if each["outcome"] == "invalid"] == [str(chain.digests[1])]


def test_unknown_methods_are_not_taken_on_trust(tmp_path: Path, verify: Any) -> None:
    chain = Chain(tmp_path / "bucket")
    chain.digest(1, digestSignatureAlgorithm="SHA512withTomorrow")
    chain.keep_metadata()
    (tmp_path / "keys.json").write_text(listed_keys(chain.key))
    told = verify("--digests-only")
    assert (told.code, told.bad()[0][1:]) == (
        2,
        ("unverifiable", "is signed by a method that is not known here: SHA512withTomorrow"),
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--public-keys", "nowhere.json"], "nowhere.json: No such file or directory"),
        (["--until", "yesterday"], "--until"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_exit_2(
    chain: Chain, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["collect", "cloudtrail-digests", str(chain.folder), "--no-send", *arguments]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert told.count("\n") == 1


@pytest.mark.parametrize("keys", ["", "{}", '{"PublicKeyList":[{"Fingerprint":"a","Value":"bm8="}]}'])
def test_a_file_that_holds_no_keys_is_refused(
    chain: Chain, tmp_path: Path, keys: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "keys.json").write_text(keys)
    given = ["--no-send", "--public-keys", str(tmp_path / "keys.json")]
    assert main(["collect", "cloudtrail-digests", str(chain.folder), *given]) == 2
    assert "list-public-keys" in capsys.readouterr().err


def test_without_a_digest_there_is_nothing_to_verify(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.json").write_text('{"Records":[]}')
    assert main(["collect", "cloudtrail-digests", str(tmp_path), "--no-send"]) == 2
    assert "no CloudTrail digest among 1 files" in capsys.readouterr().err


def test_people_are_told_in_a_few_lines(chain: Chain, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chain.logs[3].unlink()
    given = ["--no-send", "--public-keys", str(tmp_path / "keys.json")]
    assert main(["collect", "cloudtrail-digests", str(chain.folder), *given]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == [
        f"{SOURCE}: 4 of 4 digests valid, 2026-07-10T00:00:00+00:00 to 2026-07-10T04:00:00+00:00",
        "digests    4 valid",
        "log files  7 valid, 1 missing",
    ]
    assert lines[3].startswith("MISSING       AWSLogs/")


def test_what_was_found_goes_to_the_stack(
    inbox: Inbox, chain: Chain, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chain.logs[3].write_bytes(b"x")
    given = ["--otlp", inbox.endpoint, "--json", "--public-keys", str(tmp_path / "keys.json")]
    assert main(["collect", "cloudtrail-digests", str(chain.folder), *given]) == 1
    assert json.loads(capsys.readouterr().out)["sent"] == 5  # four digests and the altered log file
    messages = inbox.messages(1)
    requests = [ExportLogsServiceRequest.FromString(message.value) for message in messages]
    scopes = [scope for request in requests for resource in request.resource_logs for scope in resource.scope_logs]
    assert {each.key: each.value.string_value for each in scopes[0].scope.attributes} == {
        "encoding.format": "aws.cloudtrail.digest"
    }
    bodies = [json.loads(record.body.string_value) for scope in scopes for record in scope.log_records]
    assert [(body["kind"], body["outcome"]) for body in bodies] == [
        ("digest", "valid"),
        ("digest", "valid"),
        ("log", "invalid"),
        ("digest", "valid"),
        ("digest", "valid"),
    ]
    assert (bodies[1]["logFiles"], bodies[1]["logFilesValid"]) == (2, 1)
    assert json.loads(bodies[1]["digest"])["digestS3Bucket"] == "logs-bucket"


@pytest.mark.skipif(not PUBLISHED.is_dir(), reason=f"the published digests are not at {PUBLISHED}")
def test_published_digests_are_read(capsys: pytest.CaptureFixture[str]) -> None:
    folder = PUBLISHED / "internal" / "unmarshaler" / "cloudtraillog" / "testdata"
    names = ["cloudtrail_digest.json", "cloudtrail_digest_empty.json"]
    paths = [str(folder / name) for name in names]
    assert main(["collect", "cloudtrail-digests", *paths, "--no-send", "--json", "--digests-only"]) == 1
    findings = json.loads(capsys.readouterr().out)["findings"]
    # They lie there under names that they do not give themselves.
    assert {each["reason"].partition(" as ")[0] for each in findings} == {"lies here"}
