"""Certificates of one client a role, signed by tests.support.certificate, and keys. They protect nothing.

Each key is encrypted; without its password the file is of no use.
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ClientCertificate:
    """Whom Kafka knows as User:CN=NAME."""

    name: str
    certificate: str
    key: str
    password: str

    def write(self, folder: Path) -> tuple[Path, Path]:
        """The files of certificate and key."""
        certificate, key = folder / f"{self.name}.pem", folder / f"{self.name}.key"
        certificate.write_text(self.certificate)
        key.write_text(self.key)
        return certificate, key


CLIENTS = {
    client.name: client
    for client in (
        ClientCertificate(
            "connector",
            """\
-----BEGIN CERTIFICATE-----
MIIBKDCBzwIUbdZXb6d0jmM2N/IGdQa/fdbClFgwCgYIKoZIzj0EAwIwGDEWMBQG
A1UEAwwNdHJhcGxpbmUtdGVzdDAgFw0yNjExMjMyMjA4MjdaGA8yMTI1MDYxNzIy
MDgyN1owFDESMBAGA1UEAwwJY29ubmVjdG9yMFkwEwYHKoZIzj0CAQYIKoZIzj0D
AQcDQgAEofPt9e+hJwIt89v5vtExia6sgyL5RMycimaM9M2FDiW4YwP3GFtu6J1X
2RFf1Lzr5Na0wd+Ls0jMcePNzUi0ZDAKBggqhkjOPQQDAgNIADBFAiEA6qAM6l6M
6v2AgEHCYqbVp0Y6+Oi5M+38hJUgublqD68CICchzTSk78q+qbTPLHKXucyJKtoC
qwG7WgqoC9YgHEv8
-----END CERTIFICATE-----
""",
            """\
-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAjijm10UStvzQICCAAw
DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEECEc2dQNGLk9eT082VPWc6kEgZBv
dofndt23BXhYljOEsnWqVOPEILxlHs6SAvtV/9F8WnBybzvjk8qH8aeE02A7A82Y
uhFm8bzFyCTkb70MtA34krd9vY9DikOmKP96CtIrzSmzOn2s1ulD3+fhcn9VUPgu
5W4HlWBA++fsK1KuxzhHe58NoLLURvpckbjIt+gyrGxU8GBo+QAtgjAycnJ3vJg=
-----END ENCRYPTED PRIVATE KEY-----
""",
            "dipole connector 7f3a",
        ),
        ClientCertificate(
            "grouper",
            """\
-----BEGIN CERTIFICATE-----
MIIBJzCBzQIUbdZXb6d0jmM2N/IGdQa/fdbClFkwCgYIKoZIzj0EAwIwGDEWMBQG
A1UEAwwNdHJhcGxpbmUtdGVzdDAgFw0yNjExMjMyMjA4MjhaGA8yMTI1MDYxNzIy
MDgyOFowEjEQMA4GA1UEAwwHZ3JvdXBlcjBZMBMGByqGSM49AgEGCCqGSM49AwEH
A0IABHEoP9c2/Tk3abXm7tajlteNzl6QkbyfJkgyTf02d+aSYTZ2wX3rqZ6zkBrn
n22z7W97yUAtRuwzLWZCOTLNLqgwCgYIKoZIzj0EAwIDSQAwRgIhAKDo3amoIKno
V+hiYxOh079Ck/VhHh9tel9Iy03jviK+AiEA0LH34nmtb3BLRmwW5yQc3eBHFYZB
bLna4pnYhtTRMsU=
-----END CERTIFICATE-----
""",
            """\
-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAiR6ekLxbxjuwICCAAw
DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEELlu/bq7DLHrgmEvVWaubMgEgZAV
Y8mv+N5jeyuOACmuFBJt1Czg4Urs2gpOY+BMzQbQyvsGDB6iVCAePBsG+CSiqmMJ
kNv7j7ieH7j3n8Sn1T66yQiTKju1czy0O6vwAl6BUKTX+qE5U8iRxffehiwZ3AXZ
//BB+yoDO3SG2WrXoPhofVhpuxCw3E209IJUxpaMVdfYyGEqYYQbcnFEI06gU6M=
-----END ENCRYPTED PRIVATE KEY-----
""",
            "dipole grouper 7f3a",
        ),
        ClientCertificate(
            "consumer",
            """\
-----BEGIN CERTIFICATE-----
MIIBJzCBzgIUbdZXb6d0jmM2N/IGdQa/fdbClFowCgYIKoZIzj0EAwIwGDEWMBQG
A1UEAwwNdHJhcGxpbmUtdGVzdDAgFw0yNjExMjMyMjA4MjhaGA8yMTI1MDYxNzIy
MDgyOFowEzERMA8GA1UEAwwIY29uc3VtZXIwWTATBgcqhkjOPQIBBggqhkjOPQMB
BwNCAASK35sgkOfBj/9JFg7XVURLezr0oWjdt1XSZI10PJ3lUP0S13wDuHx47Psg
wesHOabuCNi9keKwiMdoVU6pigDqMAoGCCqGSM49BAMCA0gAMEUCIQDSLHjNeIUG
DCcpm3nCM80FTps2QeHehjjWTwU5xZESwQIgeW+ouQsT9mR/x+lzxcr3AXxLs5jO
DTVQtvh6+4ncCeE=
-----END CERTIFICATE-----
""",
            """\
-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAjNWlFw5aSeewICCAAw
DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEM7nEZpfjBum6FtlUpIdRq0EgZAu
J6e3pObTpesqJ2G6GJ+BbnKHoLzHRWOEikyjL+xPPj0lh+6+MluX1rf52Qwl3yGN
sDNJAzDloFj85osLZU4f7tvRINzyVUF1zVVvDd00oD+P0jl3+tdopQP/wqAE5UrQ
69pxlSH6oO326J9GGGBH85O1ijr+ww5hNdnd0atLvquPAqbfghIn8bI6BKQHRGw=
-----END ENCRYPTED PRIVATE KEY-----
""",
            "dipole consumer 7f3a",
        ),
        ClientCertificate(
            "auditor",
            """\
-----BEGIN CERTIFICATE-----
MIIBJjCBzQIUbdZXb6d0jmM2N/IGdQa/fdbClFswCgYIKoZIzj0EAwIwGDEWMBQG
A1UEAwwNdHJhcGxpbmUtdGVzdDAgFw0yNjExMjMyMjA4MjhaGA8yMTI1MDYxNzIy
MDgyOFowEjEQMA4GA1UEAwwHYXVkaXRvcjBZMBMGByqGSM49AgEGCCqGSM49AwEH
A0IABBcHwIt3wTKdD6L4QhDGIHaK/U181k54r2+FuV3BCML7R6xONGtpIgqwtcDG
CBSp8jLhZJPS/4dZmugHDGUaGYEwCgYIKoZIzj0EAwIDSAAwRQIgAJzFpBVEB+FV
LEhHvcTSDasYg/9Vkuygo7fRr6KrYloCIQDBSqavHQiMWgvafxEcGpqgiG6GKMg7
2b6FeWIh0UP34w==
-----END CERTIFICATE-----
""",
            """\
-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAgnJcowCZOEXAICCAAw
DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEA0nI/lgFVWT+uo6meh8jFwEgZCR
xcj4WUsVSZMCo3QCXdz4gErFPgVV38WnoDDnumpH9dcG4VKV28lBDGA7iz8E9RkQ
yk8b3yFc67VRJF9m0Q708WtLIg/LULo54iU7SsB/3XyhDKTk8uB0e6fQ2vo0Lf6g
MIzyzTGkFNod1ehHNYLA1cRo/melXG+QwrLXjWu2qvhVXkl91QdnlpQnUrB8hfc=
-----END ENCRYPTED PRIVATE KEY-----
""",
            "dipole auditor 7f3a",
        ),
        ClientCertificate(
            "replayer",
            """\
-----BEGIN CERTIFICATE-----
MIIBKDCBzgIUbdZXb6d0jmM2N/IGdQaa/dfClFwwCgYIKoZIzj0EAwIwGDEWMBQG
A1UEAwwNdHJhcGxpbmUtdGVzdDAgFw0yNjExMzAwMTIwNTRaGA8yMTI1MDYyNDAx
MjA1NFowEzERMA8GA1UEAwwIcmVwbGF5ZXIwWTATBgcqhkjOPQIBBggqhkjOPQMB
BwNCAAQq74SVbFUHdg4+e2eZkTFyWBA2fX4CBt6jZapEbqYx1GJjmkyxy8szh1Yo
rmOhOHpiEXfNf3iqOeTrmgaIfn6+MAoGCCqGSM49BAMCA0kAMEYCIQDzQHI0x8HE
87iaCAR4ouJFcr2viO4IjFyahviuL3q+TwIhANdieGFm1hhLWDQVxrJzdfRV9nj+
BC6dT5WBMYzxkURL
-----END CERTIFICATE-----
""",
            """\
-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHeMEkGCSqGSIb3DQEFDTA8MBsGCSqGSIb3DQEFDDAOBAiWIhSAeIHKwAICCAAw
HQYJYIZIAWUDBAEqBBDpagMcEMCZUkiMQOWEhjn5BIGQDSkjebLA29C3yBYurxzE
WMqAyjL/fXKJFh5lu7u4RXOz3h+FazPrTdvP3h7Ev1P0dPiJw0Up5UcC+lFdbsXO
vpuPwX9iq77y+TJKkY0wbuFDcn1Cc89SLu83FNq944J5YxpxW5FSmKYP8VMt6WR6
tlkbEngy72OxU9Av6VijpcvSUgu8zV2yddcVltlsyMVK
-----END ENCRYPTED PRIVATE KEY-----
""",
            "dipole replayer 7f3a",
        ),
    )
}
