# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of a tenant's options: once, for the module of one tenant and for the module of many."""

from __future__ import annotations

from textwrap import indent

TENANT = r"""
hosts:
  description: Host names that lead to the tenant, in lower case; no other rule of the listener may have them.
  type: list
  elements: str
priority:
  description: Priority of the tenant's rule, 1 to 50000; it comes from the tenant registry, and no other rule of the listener may have it.
  type: int
uid:
  description: Numeric user that the tenant's files belong to, its own on the file system. Needed with C(files).
  type: int
gid:
  description: Numeric group of the tenant's files; by default C(uid).
  type: int
image:
  description: The container's image, by its digest unless C(allow_mutable_image) is set.
  type: str
cpu:
  description: CPU units of the task; by default 1024.
  type: int
memory:
  description: Memory of the task in MiB, as Fargate has it with C(cpu); by default 2048.
  type: int
architecture:
  description: Processor architecture; by default X86_64.
  type: str
  choices: [X86_64, ARM64]
ephemeral_storage:
  description: Size of the task's own disk in GiB; Fargate's 20 GiB when unset.
  type: int
pid_mode:
  description: Whether the containers of a task share one process namespace.
  type: str
  choices: [task]
proxy_configuration:
  description: App Mesh proxy of the task, in the members of C(RegisterTaskDefinition).
  type: dict
cron:
  description:
    - One scheduled task beside the service, of the revision that the service runs; WordPress's own cron, which runs with page views in
      every task, is then to be switched off by C(DISABLE_WP_CRON). None when unset. For many tenants its target is compared by a digest in
      the rule's description only, for one tenant by its content.
  type: dict
  suboptions:
    role_arn:
      description: Role with which EventBridge starts the task; V({tenant}) and V({environment}) are filled in.
      type: str
      required: true
    schedule:
      description: As EventBridge words it, for example C(cron(0 3 * * ? *\)); by default every 5 minutes.
      type: str
    command:
      description: What runs in the container; by default C(php /var/www/html/wp-cron.php).
      type: list
      elements: str
roles:
  description:
    - Make the roles of C(task_role_arn), C(execution_role_arn) and C(cron.role_arn) too, for this tenant alone. The first may mount the
      file system through the tenant's access point and use its prefix of the bucket, the second may start the tasks (image, logs, secrets),
      the third may run a task of the tenant's family. Whatever else is attached to them is taken away. When unset, they must be there.
    - A role that was just made may take some seconds until other services accept it; ECS tries again by itself.
  type: dict
  suboptions:
    assets_bucket:
      description: Bucket in which the tenant's tasks may read and write C(<tenant>/); none when unset.
      type: str
container_name:
  description: Name of the container; by default wordpress.
  type: str
port:
  description: Port of the container; by default 80.
  type: int
task_role_arn:
  description: Role that the tenant's code has. Each tenant has its own, limited to its own secret, files and prefix.
  type: str
execution_role_arn:
  description: Role with which ECS starts the task.
  type: str
environment:
  description:
    - Environment variables of the container. Their values are shown as digests only; put no password here.
    - In their values, in C(task_role_arn) and in C(execution_role_arn), C({tenant}), C({environment}), C({database_host}),
      C({database_name}) and C({database_user}) stand for the tenant's own.
  type: dict
secrets:
  description:
    - Environment variables that ECS fills from secrets. The value is a full ARN with its key, or the name of a key of the tenant's own
      secret, such as C(password).
  type: dict
database:
  description: What the tenant's secret says of its database. Without it the tenant has no secret.
  type: dict
  suboptions:
    host:
      description: Address of the database.
      type: str
      required: true
    port:
      description: Its port; by default 3306.
      type: str
    name:
      description: Name of the tenant's database; by default C(tenant_<tenant>_db) with underscores for hyphens.
      type: str
    user:
      description: The tenant's user; by default C(tenant_<tenant>_user).
      type: str
    engine:
      description: Kind of the database; by default mysql.
      type: str
    password:
      description: Password for a secret that is created; by default 32 random characters. An existing secret keeps its password.
      type: str
files:
  description: A directory on the file system that is mounted through the tenant's own access point. Without it nothing is mounted.
  type: dict
  suboptions:
    container_path:
      description: Where it is mounted; by default C(/var/www/html/wp-content/uploads), so that code comes from the image.
      type: str
    path:
      description: The directory; by default C(/tenant-<tenant>).
      type: str
    permissions:
      description: Permissions of the directory; by default 755.
      type: str
    read_only:
      description: Whether the container may only read; by default no.
      type: bool
    volume:
      description: Name of the volume; by default wordpress-efs.
      type: str
health:
  description: Health check of the container. Without it there is only the target group's.
  type: dict
  suboptions:
    command:
      description: The command, such as [CMD-SHELL, "curl -f http://localhost/health || exit 1"].
      type: list
      elements: str
      required: true
    interval:
      description: Seconds between checks; by default 30.
      type: int
    timeout:
      description: Seconds until a check has failed; by default 5.
      type: int
    retries:
      description: Failed checks until the container is unhealthy; by default 3.
      type: int
    start_period:
      description: Seconds during which failed checks don't count; by default 60.
      type: int
target:
  description: How the load balancer checks the tenant's tasks.
  type: dict
  suboptions:
    path:
      description: A light page that needs no database; by default /health.
      type: str
    interval:
      description: Seconds between checks; by default 30.
      type: int
    timeout:
      description: Seconds until a check has failed; by default 5.
      type: int
    healthy_threshold:
      description: Checks until a target is healthy; by default 2.
      type: int
    unhealthy_threshold:
      description: Failed checks until a target is unhealthy; by default 3.
      type: int
    matcher:
      description: HTTP codes of a healthy answer; by default 200.
      type: str
    deregistration_delay:
      description: Seconds that a target drains. Left alone when unset; looking at it costs one more request a tenant.
      type: int
desired_count:
  description: Number of tasks of a new service; by default 2. Afterwards it belongs to auto scaling and is left alone.
  type: int
grace_period:
  description: Seconds after a task's start in which failed checks of the load balancer don't count; by default 180.
  type: int
minimum_healthy_percent:
  description: Share of tasks that must run during a deployment; by default 100.
  type: int
maximum_percent:
  description: Share of tasks that may run during a deployment; by default 200.
  type: int
circuit_breaker:
  description: Whether AWS gives a deployment up whose tasks fail, and takes it back; by default yes.
  type: bool
platform_version:
  description: Fargate's platform version; by default LATEST.
  type: str
enable_execute_command:
  description: Whether ECS Exec may open a shell in a task; by default no.
  type: bool
enable_ecs_managed_tags:
  description: Whether ECS tags tasks with their cluster and service; by default yes.
  type: bool
propagate_tags:
  description: Where tasks get their tags from; by default SERVICE.
  type: str
  choices: [SERVICE, TASK_DEFINITION, NONE]
availability_zone_rebalancing:
  description: Whether ECS spreads tasks over zones again by itself. Left alone when unset.
  type: str
  choices: [ENABLED, DISABLED]
service_registries:
  description: Service discovery, in the members of C(UpdateService). Left alone when unset; an empty list takes it away.
  type: list
  elements: dict
service_connect:
  description: Service Connect, in the members of C(UpdateService). Left alone when unset; C(enabled) false takes it away.
  type: dict
volume_configurations:
  description: Volumes that ECS makes with each task, in the members of C(UpdateService). An empty list takes them away.
  type: list
  elements: dict
scaling:
  description: Auto scaling by CPU.
  type: dict
  suboptions:
    min:
      description: Fewest tasks; by default 2.
      type: int
    max:
      description: Most tasks; by default 4.
      type: int
    cpu_target:
      description: CPU use in percent that is aimed at; by default 70.
      type: int
    scale_in_cooldown:
      description: Seconds between two steps down; by default 300.
      type: int
    scale_out_cooldown:
      description: Seconds between two steps up; by default 60.
      type: int
retention_days:
  description: Days that logs are kept; by default 90.
  type: int
alarms:
  description: The tenant's alarms.
  type: list
  elements: dict
  suboptions:
    name:
      description: Name after the prefix.
      type: str
      required: true
    description:
      description: Description.
      type: str
    namespace:
      description: Namespace of the metric.
      type: str
      required: true
    metric_name:
      description: The metric.
      type: str
      required: true
    dimensions:
      description:
        - Dimensions; C({service}), C({cluster}), C({target_group}), C({load_balancer}) and C({distribution}) stand for CloudWatch's names
          of them. A tenant without C(distribution_id) has no alarm with the last.
      type: dict
      required: true
    statistic:
      description: Statistic, or a percentile such as p95.
      type: str
      default: Average
    period:
      description: Seconds of a period.
      type: int
      default: 300
    evaluation_periods:
      description: Periods that are looked at.
      type: int
      default: 2
    threshold:
      description: Threshold.
      type: float
      required: true
    comparison:
      description: Comparison with the threshold.
      type: str
      default: GreaterThanThreshold
    treat_missing_data:
      description: What a period without data means.
      type: str
      choices: [missing, breaching, notBreaching, ignore]
      default: missing
    ok_actions:
      description: Whether the end of an alarm is told too.
      type: bool
      default: true
    region:
      description:
        - Region of the metric if it is another one, CloudFront's; no other is taken. The alarm notifies a topic there, which has the name
          and the subscriptions of the tenant's topic and no key of the platform's region.
      type: str
alarm_actions:
  description: ARNs that alarms are sent to; by default the tenant's topic.
  type: list
  elements: str
subscriptions:
  description: Who gets what is sent to the tenant's topic; others stay. A person must confirm an e-mail address.
  type: list
  elements: dict
  suboptions:
    protocol:
      description: Protocol.
      type: str
      default: email
    endpoint:
      description: Address.
      type: str
      required: true
distribution_id:
  description: The tenant's CloudFront distribution, for alarms and dashboard; it is left as it is.
  type: str
dashboard:
  description:
    - The tenant's dashboard. For many tenants its content is compared by its size first, for one tenant as it is. None when unset.
  type: dict
  suboptions:
    name:
      description: Its name; V({tenant}) and V({environment}) are filled in.
      type: str
      required: true
    database_cluster:
      description: The database cluster that it shows; none when unset.
      type: str
registry:
  description: The table in which tenants are registered, by C(tenant_id). Without it nothing is registered.
  type: dict
  suboptions:
    table:
      description: Its name.
      type: str
      required: true
    attributes:
      description: Attributes of the tenant's item, besides C(name) and C(status); others stay.
      type: dict
tags:
  description: Tags of all resources; C(Environment), C(Name), C(Tenant) and C(ManagedBy) are added. Other tags are left alone.
  type: dict
adopt:
  description: Take over resources of these names that aren't tagged as this tenant's; by default no.
  type: bool
"""


class ModuleDocFragment:
    # What all tenants of a task share.
    DOCUMENTATION = r"""
options:
  state:
    description:
      - V(present) makes and repairs everything, and deploys the service when its content differs.
      - V(rolled_back) lets the service run the last verified revision again, or the verified one before it when the last one runs.
      - V(absent) stops the traffic, drains the service and removes what holds no data, its own roles too. Secret, files, logs and
        revisions stay.
    type: str
    choices: [present, absent, rolled_back]
    default: present
  environment_name:
    description: The environment, such as V(sit); part of names and tags.
    type: str
    required: true
  cluster:
    description: Name of the ECS cluster.
    type: str
    required: true
  load_balancer:
    description: Name of the application load balancer, by which O(load_balancer_arn), O(listener_arn), O(vpc_id) and
      O(load_balancer_security_group) are found where they aren't given. It must serve port 443 over TLS with one of O(tls_policies), and
      may only redirect plain HTTP to HTTPS.
    type: str
  tls_policies:
    description: TLS policies that the listener may have; by default those without TLS 1.0 and 1.1.
    type: list
    elements: str
  subnet_tags:
    description: Tags of the private subnets for tasks, by which O(subnets) are found; a value may have C(*) in it.
    type: dict
  file_system:
    description: C(Name) of the EFS file system, by which O(file_system_id) is found.
    type: str
  vpc_id:
    description: The VPC.
    type: str
  subnets:
    description: Private subnets of two or more zones, for tasks.
    type: list
    elements: str
  load_balancer_arn:
    description: The application load balancer.
    type: str
  listener_arn:
    description: Its HTTPS listener.
    type: str
  load_balancer_security_group:
    description: Its security group, the only one that reaches tasks.
    type: str
  file_system_id:
    description: The EFS file system; needed by tenants with files.
    type: str
  kms_key_id:
    description: Key of secrets and topics; AWS's own when unset.
    type: str
  names:
    description: Names of resources; C({tenant}) and C({environment}) stand for their values.
    type: dict
    default: {}
    suboptions:
      service: {description: "The service; by default C({tenant}-{environment}-service).", type: str}
      task_family: {description: "The task definition; by default C({tenant}-{environment}-task).", type: str}
      target_group: {description: "The target group, at most 32 characters; by default C({tenant}-{environment}-tg).", type: str}
      security_group: {description: "The security group; by default C({tenant}-{environment}-sg).", type: str}
      secret: {description: "The secret; by default C(bbws/{environment}/{tenant}/database).", type: str}
      log_group: {description: "The log group; by default C(/ecs/{tenant}-{environment}).", type: str}
      scaling_policy: {description: "The scaling policy; by default C({tenant}-{environment}-cpu-scaling).", type: str}
      alarm_prefix: {description: "What alarms begin with; by default C({tenant}-{environment}-).", type: str}
      cron: {description: "The rule of the scheduled task; by default C({tenant}-{environment}-cron).", type: str}
      topic: {description: "The topic of alarms, empty for none; by default C({tenant}-{environment}-alerts).", type: str}
  allow_mutable_image:
    description: Accept an image by its tag. What runs then isn't known tomorrow; never in PROD.
    type: bool
    default: false
  allow_disruptive:
    description: Allow what interrupts service, as with O(state=absent).
    type: bool
    default: false
  wait:
    description: Wait until services are stable, and fail when a deployment is taken back.
    type: bool
    default: true
  common_tags:
    description: Tags of all tenants.
    type: dict
    default: {}
attributes:
  idempotent:
    support: full
    description: A second run reports no change and makes no write call.
notes:
  - >-
    IAM actions to look: C(ecs:DescribeServices), C(ecs:DescribeTaskDefinition), C(elasticloadbalancing:DescribeTargetGroups),
    C(elasticloadbalancing:DescribeRules), C(elasticloadbalancing:DescribeTags), C(elasticloadbalancing:DescribeTargetHealth),
    C(elasticfilesystem:DescribeAccessPoints), C(secretsmanager:DescribeSecret), C(secretsmanager:ListSecrets),
    C(ec2:DescribeSecurityGroups), C(events:DescribeRule), C(events:ListRules), C(events:ListTargetsByRule) (scheduled task),
    C(logs:DescribeLogGroups), C(logs:ListTagsForResource), C(cloudwatch:DescribeAlarms),
    C(application-autoscaling:DescribeScalableTargets), C(application-autoscaling:DescribeScalingPolicies), C(sns:ListTopics),
    C(sns:ListSubscriptions), C(sns:ListSubscriptionsByTopic), C(sns:ListTagsForResource), C(tag:GetResources),
    C(iam:GetAccountAuthorizationDetails) (roles), C(cloudwatch:GetDashboard) and C(cloudwatch:ListDashboards) (dashboard),
    C(ecs:ListTasks) and
    C(ecs:DescribeTasks) (reasons of a failed deployment), C(elasticloadbalancing:DescribeTargetGroupAttributes) (deregistration delay).
  - >-
    To find the platform by names: C(elasticloadbalancing:DescribeLoadBalancers) and C(elasticloadbalancing:DescribeListeners)
    and C(elasticloadbalancing:DescribeRules) (O(load_balancer)), C(ec2:DescribeSubnets) (O(subnet_tags)),
    C(elasticfilesystem:DescribeFileSystems) (O(file_system)).
  - >-
    To create and change: C(secretsmanager:CreateSecret), C(secretsmanager:GetSecretValue) and C(secretsmanager:PutSecretValue) (another
    database address), C(secretsmanager:UpdateSecret) (another key), C(secretsmanager:TagResource),
    C(elasticfilesystem:CreateAccessPoint), C(elasticfilesystem:TagResource), C(logs:CreateLogGroup), C(logs:PutRetentionPolicy),
    C(logs:TagResource), C(ec2:CreateSecurityGroup), C(ec2:AuthorizeSecurityGroupIngress), C(ec2:RevokeSecurityGroupIngress),
    C(ec2:CreateTags), C(sns:CreateTopic), C(sns:Subscribe), C(sns:TagResource), C(elasticloadbalancing:CreateTargetGroup),
    C(elasticloadbalancing:ModifyTargetGroup), C(elasticloadbalancing:ModifyTargetGroupAttributes), C(elasticloadbalancing:CreateRule),
    C(elasticloadbalancing:ModifyRule), C(elasticloadbalancing:SetRulePriorities), C(elasticloadbalancing:AddTags),
    C(ecs:RegisterTaskDefinition), C(ecs:CreateService), C(ecs:UpdateService), C(ecs:TagResource),
    C(events:PutRule), C(events:TagResource), C(events:PutTargets) and C(iam:PassRole) (scheduled task),
    C(application-autoscaling:RegisterScalableTarget), C(application-autoscaling:PutScalingPolicy), C(cloudwatch:PutMetricAlarm),
    C(cloudwatch:PutDashboard) (dashboard), C(iam:CreateRole), C(iam:UpdateAssumeRolePolicy), C(iam:TagRole), C(iam:PutRolePolicy),
    C(iam:DeleteRolePolicy) and C(iam:DetachRolePolicy) (roles),
    C(dynamodb:BatchGetItem) and C(dynamodb:UpdateItem) (registry), C(ecs:DeregisterTaskDefinition) (one of two that concurrent runs made),
    and C(iam:PassRole) for both roles of the task.
  - >-
    With O(state=absent): C(elasticloadbalancing:DeleteRule), C(elasticloadbalancing:DeleteTargetGroup), C(ecs:DeleteService),
    C(application-autoscaling:DeregisterScalableTarget), C(cloudwatch:DeleteAlarms), C(ec2:DeleteSecurityGroup), C(sns:DeleteTopic),
    C(events:RemoveTargets), C(events:DeleteRule), C(cloudwatch:DeleteDashboards), C(iam:DeleteRole) (roles),
    C(elasticfilesystem:DeleteAccessPoint).
  - Task definitions are never deregistered because of their age, so every verified revision can be returned to.
"""

    # The options of one tenant, at the top level.
    ONE: str = "options:\n" + indent(TENANT, "  ")

    # The same for each of many, and for what they share.
    MANY: str = (
        "options:\n  tenants:\n    description: The tenants.\n    type: list\n    elements: dict\n    required: true\n    suboptions:\n"
        "      tenant:\n        description: The tenant's id, lower-case letters, digits and single hyphens.\n        type: str\n"
        "        required: true\n" + indent(TENANT, "      ") + "  defaults:\n    description: Options of each tenant that doesn't name "
        "them itself; nested options are joined.\n    type: dict\n    suboptions:\n" + indent(TENANT, "      ")
    )
