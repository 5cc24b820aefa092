"""What things cost while they merely exist: for the estimates of a plan, never for an account.

List prices in USD of us-east-1 and eastus, without taxes, free tiers, traffic and requests; None
means that the size is not in the table, 0.0 that only use is charged.
"""

from __future__ import annotations

from collections.abc import Mapping

AS_OF = "2026-11"
EC2_TYPE, EC2_DISK_GB = "t4g.micro", 16
"""What every EC2 instance of the product is; the records name neither."""

VM_DISK_GB = 32
"""Of every Azure machine of the product: a Standard SSD of size E4."""

_HOURS = 24.0
_MONTH_DAYS = 30.0
_S3_GB_MONTH = 0.023
_BLOB_GB_MONTH = 0.0208
_GP3_GB_MONTH = 0.08
_E4_MONTH = 2.40
_ADDRESS_HOUR = 0.005

_INSTANCE_HOUR: Mapping[str, float] = {
    "t3.micro": 0.0104, "t3.small": 0.0208, "t3.medium": 0.0416,
    "t3a.micro": 0.0094, "t3a.small": 0.0188, "t3a.medium": 0.0376,
    "t4g.micro": 0.0084, "t4g.small": 0.0168, "t4g.medium": 0.0336,
}  # fmt: skip
_VM_HOUR: Mapping[str, float] = {
    "Standard_B2ats_v2": 0.0094, "Standard_B2als_v2": 0.0376, "Standard_B2pts_v2": 0.0084,
    "Standard_B2pls_v2": 0.0336, "Standard_B2ts_v2": 0.0104, "Standard_B2ls_v2": 0.0416,
}  # fmt: skip
_DAY: Mapping[str, float] = {
    "cloudfront_distribution": 0.0, "cloudfront_function": 0.0, "cloudfront_oac": 0.0,
    "security_group": 0.0, "iam_role": 0.0, "iam_instance_profile": 0.0,
    "route53_record": 0.0, "dns_record": 0.0, "local_site": 0.0,
    "acm_certificate": 0.0, "ssm_parameter": 0.0,
    "resource_group": 0.0, "role_assignment": 0.0,
    "frontdoor_endpoint": 0.0, "frontdoor_route": 0.0, "frontdoor_domain": 0.0, "key_vault": 0.0,
    "frontdoor_profile": 35.0 / _MONTH_DAYS,
    "virtual_network": 0.0, "network_interface": 0.0, "network_security_group": 0.0,
    "elastic_ip": _ADDRESS_HOUR * _HOURS, "public_ip": _ADDRESS_HOUR * _HOURS,
}  # fmt: skip


def usd_per_day(kind: str, size: str | None = None, *, size_bytes: int = 0) -> float | None:
    """What one resource costs in a day.

    Args:
        kind: A kind of the plan, such as `s3_bucket`.
        size: An instance type or VM size, for the kinds that have one.
        size_bytes: What a store of objects holds, or an EC2 instance's disk.
    """
    stored_gb = size_bytes / 1e9
    if kind == "s3_bucket":
        return _rounded(stored_gb * _S3_GB_MONTH / _MONTH_DAYS)
    if kind == "storage_account":
        return _rounded(stored_gb * _BLOB_GB_MONTH / _MONTH_DAYS)
    if kind in ("ec2_instance", "virtual_machine"):
        hourly = (_INSTANCE_HOUR if kind == "ec2_instance" else _VM_HOUR).get(size or "")
        disk_month = stored_gb * _GP3_GB_MONTH if kind == "ec2_instance" else _E4_MONTH
        return None if hourly is None else _rounded(hourly * _HOURS + disk_month / _MONTH_DAYS)
    daily = _DAY.get(kind)
    return None if daily is None else _rounded(daily)


def _rounded(amount: float) -> float:
    return round(amount, 4)
