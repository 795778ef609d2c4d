# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The inventories name every difference between the environments, completely and with real values."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible_collections.bbws.platform.plugins.module_utils.preflight import placeholders

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = ("dev", "sit", "prod")
ACCOUNTS = {"dev": "536580886816", "sit": "815856636111", "prod": "093646564004"}
PREVIOUS = {"dev": None, "sit": "dev", "prod": "sit"}
FUNCTIONS = {
    "tenant_instance_management": "bbws-tenant-instance-management-{}",
    "sites_service": "{}-bbws-sites-service",
    "templates_service": "{}-bbws-templates-service",
    "plugins_service": "{}-bbws-plugins-service",
    "async_processor": "{}-bbws-async-processor",
    "ecs_event_handler": "bbws-ecs-event-handler-{}",
}


WAVES = ("tenant_management", "event_handler", "site_management")


@functools.cache
def variables(env: str) -> dict[str, Any]:
    """Every variables file of an inventory, by its path in it."""
    folder = ROOT / "inventories" / env
    return {str(path.relative_to(folder)): yaml.safe_load(path.read_text()) for path in sorted(folder.glob("*_vars/*/*.yml"))}


def account(env: str) -> dict[str, Any]:
    return variables(env)["group_vars/all/account.yml"]


@functools.cache
def groups(env: str) -> dict[str, list[str]]:
    """The hosts of each group, in their order; a region's name without its environment."""
    inventory = InventoryManager(loader=DataLoader(), sources=[str(ROOT / "inventories" / env / "hosts.yml")])
    return {name: [host.removeprefix(f"{env}_") for host in hosts] for name, hosts in inventory.get_groups_dict().items()}


def keys(value: Any, where: str = "") -> Iterator[str]:
    """The paths of all keys; those of a list's entries as one, and those of an event's payload and of gates not at all."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield f"{where}.{key}"
            if key not in (
                "payload",
                "gates",
                "promotion_soak_gates",
                "promotion_success_gates",
                "approval_matrix",
                "phase_gates",
                "emergency",
            ):
                yield from keys(inner, f"{where}.{key}")
    elif isinstance(value, list):
        for inner in value:
            yield from keys(inner, f"{where}[]")


@pytest.mark.req("ENV-01")
@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_an_account_is_a_string_of_twelve_digits_and_the_documented_one(env: str) -> None:
    assert account(env)["aws_account_id"] == ACCOUNTS[env]
    previous = PREVIOUS[env]
    assert account(env)["source_environment"]["account_id"] == (ACCOUNTS[previous] if previous else None)


@pytest.mark.req("ENV-02", "C-01")
@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_the_regions_are_the_documented_ones(env: str) -> None:
    found = account(env)
    regions = (found["primary_region"], found["dr_region"], found["edge_region"])
    assert regions == ("af-south-1", "eu-west-1" if env == "prod" else None, "us-east-1")


@pytest.mark.req("ENV-02")
def test_no_role_plugin_or_playbook_names_a_region() -> None:
    region = re.compile(r"\b(?:af|ap|ca|eu|me|sa|us)-(?:north|south|east|west|central)[a-z]*-[1-9]\b")
    files = [path for folder in ("roles", "plugins", "playbooks") for path in (ROOT / folder).rglob("*") if path.suffix in (".py", ".yml")]
    files.remove(ROOT / "plugins" / "module_utils" / "edge_facts.py")  # where AWS, not an environment, has chosen the region
    # The examples of a module's documentation are no code.
    texts = {path: re.sub(r'(DOCUMENTATION|EXAMPLES|RETURN) = r""".*?"""', "", path.read_text(), flags=re.DOTALL) for path in files}
    assert [str(path) for path, text in texts.items() if region.search(text)] == []


@pytest.mark.req("ENV-05", "ENV-06")
@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_each_environment_has_its_profile_and_its_pipeline_role(env: str) -> None:
    assert account(env)["aws_profile"] == f"bbws-{env}"
    assert account(env)["oidc_role_name"] == f"bbws-github-actions-role-{env}"


@pytest.mark.req("ENV-11")
def test_the_domains_are_the_documented_ones() -> None:
    told = {env: (account(env)["tenant_domain"], account(env)["portal_domain"]) for env in ENVIRONMENTS}
    assert told == {
        "dev": ("*.dev.bbws.io", "dev.kimmyai.io"),
        "sit": ("*.sit.bbws.io", "sit.kimmyai.io"),
        "prod": ("*.bbws.io", "kimmyai.io"),
    }
    assert account("prod")["portal_aliases"] == ["www.kimmyai.io"]
    assert account("prod")["api_domain"] == "api.wp.kimmyai.io"


@pytest.mark.req("LAM-01", "C-13")
@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_every_documented_function_is_a_host_with_its_complete_name_here_and_in_the_environment_before(env: str) -> None:
    assert set(groups(env)["lambda_services"]) == set(FUNCTIONS)
    previous = PREVIOUS[env]
    for host, pattern in FUNCTIONS.items():
        found = variables(env)[f"host_vars/{host}/lambda_service.yml"]
        assert found["lambda_service_function_name"] == pattern.format(env)
        assert found["lambda_service_source_function_name"] == (pattern.format(previous) if previous else None)


@pytest.mark.req("ENV-16", "C-13")
@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_names_are_written_out_not_put_together(env: str) -> None:
    names = variables(env)["group_vars/all/naming.yml"]["naming"]
    assert not [name for name in names.values() if name and "{{" in name]
    written = [name for name in names.values() if name and "{tenant}" not in name]
    assert all(env in name.replace("/", "-").split("-") for name in written if name != "bbws-aurora-global")


@pytest.mark.req("C-06", "C-18", "ECS-08", "TEN-22")
@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_tenants_are_named_and_scaled_as_was_decided(env: str) -> None:
    """The service as the runbook has it, the family with its environment; two to four tasks at 70 % of CPU, the load test has its own."""
    names = variables(env)["group_vars/all/naming.yml"]["naming"]
    assert (names["tenant_service"], names["tenant_task_family"]) == ("{tenant}-wordpress", f"{{tenant}}-{env}-task")
    settings = variables(env)["group_vars/tenants/tenant_service.yml"]["tenant_service_defaults"]
    scaling = settings["scaling"]
    assert (settings["desired_count"], scaling["min"], scaling["max"], scaling["cpu_target"]) == (2, 2, 4, 70)
    (high,) = [one for one in settings["alarms"] if one["name"] == "high-cpu"]
    assert high["threshold"] == 80  # it tells; target tracking scales


@pytest.mark.req("DR-04")
def test_the_global_database_is_the_documented_one_and_only_prod_has_it() -> None:
    names = {env: variables(env)["group_vars/all/naming.yml"]["naming"] for env in ENVIRONMENTS}
    told = [names["prod"][name] for name in ("aurora_global_cluster", "aurora_cluster", "aurora_cluster_dr")]
    assert told == ["bbws-aurora-global", "bbws-aurora-prod", "bbws-aurora-prod-dr"]
    settings = {env: variables(env)["group_vars/all/database_global.yml"] for env in ENVIRONMENTS}
    assert settings["prod"]["database_global_source"] == f"arn:aws:rds:af-south-1:{ACCOUNTS['prod']}:cluster:bbws-aurora-prod"
    assert all(names[env]["aurora_global_cluster"] is None is settings[env]["database_global_source"] for env in ("dev", "sit"))


def test_alarms_on_the_databases_lag_ring_before_its_limit_is_reached_and_backups_are_kept_thirty_days() -> None:
    """The database's part of C-26 and DATA-06."""
    settings = variables("prod")["group_vars/all/database_global.yml"]
    limit = settings["database_global_max_lag"]
    assert [alarm["minutes"] * 60 < limit for alarm in settings["database_global_lag_alarms"]] == [True, True, False]
    assert (settings["database_global_lag_alarms"][-1]["minutes"] * 60, settings["database_global_rto"]) == (limit, 3600)
    assert settings["database_global_backup_retention_period"] == 30 and settings["database_global_backup_window"]


@pytest.mark.req("WAVE-03", "C-20")
@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_product_comes_before_order_which_needs_it(env: str) -> None:
    services = groups(env)["api_services"]
    assert services.index("product") < services.index("order")


@pytest.mark.req("WAVE-01", "WAVE-02", "C-20")
@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_seven_components_belong_to_two_waves_and_the_foundation_is_the_first(env: str) -> None:
    found = variables(env)["group_vars/all/waves.yml"]
    waves = {wave["name"]: wave["components"] for wave in found["waves"]}
    assert list(waves) == ["foundation", "services"]
    assert waves["foundation"] == ["dynamodb_schemas", "s3_schemas", "backend_public", "ecs_terraform"]
    assert waves["services"] == ["campaigns", "product", "order"] == groups(env)["api_services"]
    assert set(found["components"]) == {name for wave in waves.values() for name in wave}


@pytest.mark.req("WAVE-03", "WAVE-04", "WAVE-05", "C-20")
@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_each_component_comes_after_all_that_it_depends_on_whatever_its_date(env: str) -> None:
    found = variables(env)["group_vars/all/waves.yml"]
    order = [name for wave in found["waves"] for name in wave["components"]]
    for name, component in found["components"].items():
        assert all(order.index(before) < order.index(name) for before in component["after"]), name
    schemas = {"dynamodb_schemas", "s3_schemas"}
    assert all(schemas <= set(found["components"][name]["after"]) for name in set(order) - schemas), "the schemas block everything else"
    if env == "prod":  # its dates say the contrary (C-20)
        assert found["components"]["campaigns"]["planned"] < found["components"]["dynamodb_schemas"]["planned"]


@pytest.mark.req("WAVE-04", "VAL-E32", "VAL-F21")
@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_the_portal_and_the_containers_need_the_documented_tables_buckets_and_certificates(env: str) -> None:
    needs = {name: one["needs"] for name, one in variables(env)["group_vars/all/waves.yml"]["components"].items()}
    portal, edge = needs["backend_public"]
    assert portal["tables"] == [f"{name}-{env}" for name in ("campaigns", "orders", "products", "tenants", "users")]
    assert (portal["buckets"], edge["certificates"], edge["region"]) == (
        ["{{ naming.frontend_bucket }}"], ["{{ portal_domain }}"], "{{ edge_region }}"
    )  # fmt: skip
    [containers] = needs["ecs_terraform"]
    assert (containers["tables"], containers["buckets"]) == ([f"tenants-{env}"], ["{{ naming.tenant_assets_bucket }}"])
    assert (containers["certificates"], containers["region"]) == (["{{ tenant_domain }}"], "{{ primary_region }}")


@pytest.mark.req("LAM-18")
@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_each_service_names_its_handler_api_and_event_checks(env: str) -> None:
    found, crossing = variables(env), set()
    for service in FUNCTIONS:
        handlers = found[f"host_vars/{service}/lambda_service.yml"]["lambda_service_smoke"]
        assert any(one["read_only"] for one in handlers), service
        checks = found[f"host_vars/{service}/validate.yml"]
        assert checks["validate_api"] and all(one["path"].startswith("/") for one in checks["validate_api"]), service
        for one in checks["validate_crossings"]:
            crossing.add(one["name"])
            asked = one["request"]
            assert "{marker}" in str(asked["payload"]) and "{marker}" in str(asked["cleanup"])
            assert asked["function_name"] == found[f"host_vars/{service}/lambda_service.yml"]["lambda_service_function_name"]
            worker = found["host_vars/async_processor/lambda_service.yml"]["lambda_service_function_name"]
            assert (asked["qualifier"], one["log_group_name"]) == (f"latest-{env}", f"/aws/lambda/{worker}")
    assert crossing == {"site_creation", "tenant_update"}
    assert found["host_vars/ecs_event_handler/sam_stack.yml"]["sam_stack_event"]["detail_type"] == "ECS Task State Change"


#: What rolls code back by itself, and the roles that do it.
BY_ITSELF = ("promote_sit", "promote_edge", "deploy_dev", "rollback", "rollback_edge")
ROLES = ("promotion", "lambda_service", "sam_stack", "edge_site", "edge_functions")


@pytest.mark.req("C-23")
def test_code_goes_back_by_itself_beyond_exact_limits_and_takes_no_data_and_no_records_with_it() -> None:
    parts = [ROOT / "playbooks" / f"{name}.yml" for name in BY_ITSELF]
    parts += [path for role in ROLES for path in (ROOT / "roles" / role / "tasks").glob("*.yml")]
    assert len(parts) > len(BY_ITSELF) + len(ROLES)
    for path in parts:
        assert not re.search(
            r"database_global|aurora_global|tenant_database|bbws\.platform\.dns\n\s+tasks_from: restore", path.read_text()
        ), path
    for env in ("sit", "prod"):
        assert variables(env)["group_vars/lambda_services/lambda_service.yml"]["lambda_service_abort"] == {
            "max_errors": 5, "max_throttles": 10, "window": 120
        }  # fmt: skip


@pytest.mark.req("C-12", "GATE-09")
def test_the_gate_to_prod_fails_with_the_fifth_error_of_a_day() -> None:
    [gate] = [one for one in variables("prod")["group_vars/all/promotion.yml"]["promotion_policy"]["gates"] if one["id"] == "errors_24h"]
    assert (gate["metric"], gate["op"], gate["value"], gate["lookback"], gate["side"]) == ("Errors", "<", 5, "24h", "source")


@pytest.mark.req("C-19", "WAVE-10")
@pytest.mark.parametrize("env", ("sit", "prod"))
def test_each_wave_is_watched_as_long_as_the_runbook_says(env: str) -> None:
    watched = {name: variables(env)[f"group_vars/{name}/promotion.yml"]["promotion_soak_seconds"] for name in WAVES}
    assert watched == {"tenant_management": 300, "event_handler": 300, "site_management": 600}


@pytest.mark.req("C-36", "GATE-03")
def test_the_quality_commands_are_a_list_with_ruff_and_without_black() -> None:
    checks = {one["name"]: one["commands"] for one in variables("dev")["group_vars/lambda_services/build.yml"]["build_checks"]}
    assert checks["lint"] == ["ruff check src/ tests/"]


@pytest.mark.req("LAM-19", "ENV-19", "GATE-07")
def test_people_are_asked_what_only_they_know_and_prod_takes_only_what_sit_verified() -> None:
    gates = {
        env: {one["id"]: one for one in variables(env)["group_vars/all/promotion.yml"]["promotion_policy"]["gates"]}
        for env in ("sit", "prod")
    }
    for env in ("sit", "prod"):
        assert gates[env]["compatibility"]["single_service"] is True
        assert set(gates[env]["compatibility"]["questions"]) == {"api", "schema", "events"}
    assert (gates["prod"]["soak"]["side"], gates["prod"]["soak"]["min"]) == ("source", "24h")
    assert {"release_notes", "rollback_plan"} <= set(gates["prod"]["documents"]["questions"])
    assert {"change_request", "customers", "teams"} == set(gates["prod"]["change_management"]["questions"])


@pytest.mark.req("REC-12")
@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_the_contacts_of_the_runbook_are_there(env: str) -> None:
    contacts = variables(env)["group_vars/all/contacts.yml"]["contacts"]
    told = {role: (one["email"], one["channel"]) for role, one in contacts.items() if one}
    assert told == {
        "platform_team": ("platform-team@bbws.io", "#platform-support"),
        "operations_lead": ("ops-lead@bbws.io", "#operations"),
        "tech_lead": ("tech-lead@bbws.io", "#engineering"),
        "on_call": ("on-call@bbws.io", "PagerDuty"),
    }


def test_the_environments_have_the_same_files_and_keys() -> None:
    sit = {path: set(keys(content)) for path, content in variables("sit").items()}
    for env in ENVIRONMENTS:
        # Only DEV is built for.
        there = {path: set(keys(content)) for path, content in variables(env).items() if env != "dev" or Path(path).name != "build.yml"}
        # Only PROD has windows, a documented address of its API and a global database, so only there the entries of these lists have keys.
        for file, lists in (
            ("account", (".windows[]",)),
            ("validate", (".validate_urls[]",)),
            ("database_global", (".database_global_windows[]", ".database_global_lag_alarms[]")),
        ):
            path = f"group_vars/all/{file}.yml"
            there[path] = {key for key in there[path] if not key.startswith(lists)}
        assert there == sit


def test_the_environments_have_the_same_groups_and_services_and_only_prod_a_region_for_disaster_recovery() -> None:
    sit = groups("sit")
    for env in ENVIRONMENTS:
        there = groups(env)
        assert there["dr"] == (["eu_west_1"] if env == "prod" else [])
        for name in sit:
            assert sorted(set(there[name]) - {"eu_west_1"}) == sorted(sit[name])
        assert set(there) == set(sit)


@pytest.mark.req("C-41")
@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_no_value_is_a_placeholder(env: str) -> None:
    assert list(placeholders(variables(env), env)) == []


@pytest.mark.req("C-41")
@pytest.mark.parametrize("value", ["TBD", "subnet-xxxxx", "your-cert-id", "<etag>", "arn:aws:kms:af-south-1:1:key/prod-key-id", "CHANGEME"])
def test_a_placeholder_is_found_wherever_it_is(value: str) -> None:
    found = list(placeholders({"fine": 1, "deep": [{"name": "real"}, {"name": value}]}, "sit"))
    assert found == [f"sit.deep[1].name is still a placeholder ({value!r}): put the real value into the inventory."]


@pytest.mark.req("LAM-20")
def test_prod_is_only_asked_what_changes_nothing() -> None:
    assert variables("prod")["group_vars/lambda_services/lambda_service.yml"]["lambda_service_read_only"] is True
    for host in FUNCTIONS:
        events = variables("prod")[f"host_vars/{host}/lambda_service.yml"]["lambda_service_smoke"]
        assert events and all(event["read_only"] for event in events)


@pytest.mark.parametrize("host", FUNCTIONS)
def test_the_sample_services_are_smoked_as_they_say(host: str) -> None:
    """The health event isn't repeated: the module sends it anyway."""
    theirs = yaml.safe_load((ROOT / "examples" / "services" / host / "smoke.yml").read_text())
    ours = variables("sit")[f"host_vars/{host}/lambda_service.yml"]["lambda_service_smoke"]
    assert ours == [event for event in theirs if event["name"] != "health"]


@pytest.mark.req("SEC-09", "EDGE-25", "C-14")
def test_the_edge_of_prod_publishes_no_source_maps_has_all_alarms_and_asks_for_its_content() -> None:
    sites = {env: variables(env)["group_vars/edge/edge_site.yml"] for env in ENVIRONMENTS}
    assert sites["prod"]["edge_site_source_maps"] is False
    severities = {env: site["edge_site_severities"] for env, site in sites.items()}
    assert severities == {"dev": ["warning"], "sit": ["warning"], "prod": ["warning", "critical", "rollback"]}
    assert sites["prod"]["edge_site_alarms"] == sites["sit"]["edge_site_alarms"]
    gates = {gate["id"]: gate for gate in variables("prod")["group_vars/edge/promotion.yml"]["promotion_policy"]["gates"]}
    assert "no data to migrate" in gates["documents"]["questions"]["content"]


@pytest.mark.req("W-16")
@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_no_edge_sends_the_header_that_browsers_have_given_up(env: str) -> None:
    assert "X-XSS-Protection" not in variables(env)["group_vars/edge/edge_site.yml"]["edge_site_headers"]
