"""Every settings class there is: one environment and one TOML file serve all processes.

With these known, a key of another process is told from a misspelt one, which is refused.
"""

from audit.settings import AuditSettings
from connector.capture_settings import CaptureSettings
from connector.settings import ConnectorSettings
from consumer.serving.settings import ServeSettings
from consumer.settings import ConsumerSettings, TargetSettings, TrapSettings
from emulator.settings import EmulatorSettings
from grouper.regroup_settings import RegroupSettings
from grouper.settings import GrouperSettings
from runtime.settings import ProcessSettings
from runtime.topic_settings import TopicsSettings
from trapline.doctor.settings import DoctorSettings
from trapline.embedded.settings import BrokerSettings
from trapline.status.settings import StatusSettings

KNOWN_SETTINGS: tuple[type[ProcessSettings], ...] = (
    AuditSettings,
    BrokerSettings,
    CaptureSettings,
    ConnectorSettings,
    ConsumerSettings,
    DoctorSettings,
    EmulatorSettings,
    GrouperSettings,
    RegroupSettings,
    ServeSettings,
    StatusSettings,
    TargetSettings,
    TopicsSettings,
    TrapSettings,
)
