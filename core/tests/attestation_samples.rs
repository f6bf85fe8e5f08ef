//! Published attestations of real devices, as far as a few lines hold them: Android chains of
//! github.com/android/keyattestation (`testdata/`), the sample of Apple's "Attestation Object Validation Guide", and an
//! attestation with its assertion of github.com/veehaitch/devicecheck-appattest (`ios-14.3-beta-3.yaml`). Apple's receipts,
//! which nothing here reads, are left out.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use carekey_core::attestation::android_key::description::{
    BootState, EXTENSION, KeyDescription, RootOfTrust, SecurityLevel,
};
use carekey_core::attestation::android_key::google_roots;
use carekey_core::attestation::app_attest::{
    AppAttestExpectation, AppAttestKey, ApplePolicy, apple_roots, verify_assertion, verify_attestation,
};
use carekey_core::clock::UnixTime;
use carekey_core::encoding::{base64, sha256};
use carekey_core::limits::Limits;
use carekey_core::x509::UnverifiedChain;

/// tegu/sdk36/TEE_EC_2026_ROOT.pem: a Pixel 9a of early 2026, the key's certificate.
const TEGU_LEAF: &str = "\
    MIIC2TCCAoCgAwIBAgIBATAKBggqhkjOPQQDAjA5MQwwCgYDVQQKEwNURUUxKTAnBgNVBAMTIDJjODVjZGMxNWMzMDQyZjI1Njk4\
    OTA2NjY5YzM1MTM3MB4XDTcwMDEwMTAwMDAwMFoXDTQ4MDEwMTAwMDAwMFowHzEdMBsGA1UEAxMUQW5kcm9pZCBLZXlzdG9yZSBL\
    ZXkwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAASshApA2E1ozxkxv466u8ybvXUcdY/vaCO38AUkb886fWtiAkZ861CnJQih5mUt\
    xHNngBA6M5fcopH9RNc1sPkEo4IBkTCCAY0wDgYDVR0PAQH/BAQDAgeAMIIBeQYKKwYBBAHWeQIBEQSCAWkwggFlAgIBkAoBAQIC\
    AZAKAQEEJDY0MTdmOTJjLWRhZWYtNGNjMS04ODI4LTViYjM5MzM4ZmZkNQQAMIGFv4U9CAIGAZyNJWD0v4VFTwRNMEsxJTAjBB5j\
    b20uZ29vZ2xlLmFuZHJvaWQuYXR0ZXN0YXRpb24CAQAxIgQgEDk47kU35Z6O55L2VFBPuDRvxrNG0LvEQV/DOfz8jsG/hVQiBCD0\
    uBip5dLvXLKNYNqmCYury98j/26Ad474LX5B70iWXjCBpKEIMQYCAQICAQOiAwIBA6MEAgIBAKUFMQMCAQSqAwIBAb+DdwIFAL+F\
    PgMCAQC/hUBMMEoEIDMnr2LYSriXryUjoW3LWAHmDF1bl/Qcob0JnEeE97dDAQH/CgEABCDs7DKv1PRl/IifPtIOb3mqyh/Rqzrf\
    nX8Zfsq7DJo4Vr+FQQUCAwJxAL+FQgUCAwMXar+FTgYCBAE1JW2/hU8GAgQBNSVtMAoGCCqGSM49BAMCA0cAMEQCIA2mR2NDXb23\
    JfBLa/QqjIJII6sPsVI7TdqjaQV18LRrAiAzNIj3ket55nDHcEUaK6dR6AEs5OmOB2n4kG0Y19oeiA==\
    ";

/// The certificate above it, of fourteen days.
const TEGU_DEVICE: &str = "\
    MIIB3zCCAYWgAwIBAgIQLIXNwVwwQvJWmJBmacNRNzAKBggqhkjOPQQDAjApMRMwEQYDVQQKEwpHb29nbGUgTExDMRIwEAYDVQQD\
    EwlEcm9pZCBDQTMwHhcNMjYwMjIyMDAwNjE3WhcNMjYwMzA4MDAyNjAwWjA5MQwwCgYDVQQKEwNURUUxKTAnBgNVBAMTIDJjODVj\
    ZGMxNWMzMDQyZjI1Njk4OTA2NjY5YzM1MTM3MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEAuCHEYPBvWZVCWnBRRzhoI0Ik+zR\
    6tVn14JcjW6Rw2ihBQ8riAtvgKlVxaztaDiw6RDMCdDoVt9/+eCFaPOCH6N/MH0wHQYDVR0OBBYEFA09xEb+nbmm1722AheMhDpi\
    xCjkMB8GA1UdIwQYMBaAFId1Sm9DwT4jI/YzViYjQBlj2NTGMA8GA1UdEwEB/wQFMAMBAf8wDgYDVR0PAQH/BAQDAgIEMBoGCisG\
    AQQB1nkCAR4EDKIBGEADZkdvb2dsZTAKBggqhkjOPQQDAgNIADBFAiEA6w349R77QMSAvRhKaBlK0yB8UPpvHEkyre0uophoygMC\
    IDKYo8klOpPU7LQPuGc1WaZJOvEH8x6pMB+rs1M65tHY\
    ";

/// The certificate of the provisioning service.
const TEGU_SERVICE: &str = "\
    MIIC7zCCAnWgAwIBAgITMDqNZ8RaDdp7Da+8CS9agkoC7DAKBggqhkjOPQQDAzApMRMwEQYDVQQKEwpHb29nbGUgTExDMRIwEAYD\
    VQQDEwlEcm9pZCBDQTIwHhcNMjYwMjE5MjMzODI3WhcNMjYwNDMwMjMzODI2WjApMRMwEQYDVQQKEwpHb29nbGUgTExDMRIwEAYD\
    VQQDEwlEcm9pZCBDQTMwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAR0mLbPl8AKkaG97eE8yKN9bkO3whZwBnSmgQwY7hndpWKo\
    bx8YwGY9r8dOZ9v3xELCepDPBwMHjJL0zOTA7CdRo4IBejCCAXYwDgYDVR0PAQH/BAQDAgIEMA8GA1UdEwEB/wQFMAMBAf8wHQYD\
    VR0OBBYEFId1Sm9DwT4jI/YzViYjQBlj2NTGMB8GA1UdIwQYMBaAFEUgMj4fpvmPHNXDRy7UelD+O6jgMIGNBggrBgEFBQcBAQSB\
    gDB+MHwGCCsGAQUFBzAChnBodHRwOi8vcHJpdmF0ZWNhLWNvbnRlbnQtNjlhNDczNWItMDAwMC0yNWEyLWE3MWMtM2MyODZkMzhl\
    YjlhLnN0b3JhZ2UuZ29vZ2xlYXBpcy5jb20vN2MyY2U5ZTVlMGI4OTgxYTc2MWIvY2EuY3J0MIGCBgNVHR8EezB5MHegdaBzhnFo\
    dHRwOi8vcHJpdmF0ZWNhLWNvbnRlbnQtNjlhNDczNWItMDAwMC0yNWEyLWE3MWMtM2MyODZkMzhlYjlhLnN0b3JhZ2UuZ29vZ2xl\
    YXBpcy5jb20vN2MyY2U5ZTVlMGI4OTgxYTc2MWIvY3JsLmNybDAKBggqhkjOPQQDAwNoADBlAjB1PdABk1m57OVPr3NwdddYVq0x\
    AaK/t93net8TYQyRAQNmOqJ9nTZcuffefw1Y6j0CMQDMZXUJA7/LYK0FGkezH9BDC8itvrLdHnT2o/3N5LwXIbUUpa+LODkWnaYI\
    Ak4IQWA=\
    ";

/// The certificate below the P-384 root.
const TEGU_GOOGLE: &str = "\
    MIICZTCCAeugAwIBAgIRALGEywXsUP3JhfDsUyl8+CMwCgYIKoZIzj0EAwMwUjEcMBoGA1UEAwwTS2V5IEF0dGVzdGF0aW9uIENB\
    MTEQMA4GA1UECwwHQW5kcm9pZDETMBEGA1UECgwKR29vZ2xlIExMQzELMAkGA1UEBhMCVVMwHhcNMjYwMjA5MTk1NzEwWhcNMjkw\
    MjA4MTk1NzEwWjApMRMwEQYDVQQKEwpHb29nbGUgTExDMRIwEAYDVQQDEwlEcm9pZCBDQTIwdjAQBgcqhkjOPQIBBgUrgQQAIgNi\
    AAT19+tRAlmwuauVyRrgHqykkymaEkOS1IYSoXAQyBRvUNEnY5FGqmi44dOWcqMxu0uIbB3in5TD3GsR1NBmi3f//mI0aiARbBtd\
    P3YaIff8yy076NY9dPMnBiCMIwjRR2Cjga0wgaowRwYDVR0fBEAwPjA8oDqgOIY2aHR0cHM6Ly9hbmRyb2lkLmdvb2dsZWFwaXMu\
    Y29tL2F0dGVzdGF0aW9uL2tleV9jYTEuY3JsMB0GA1UdDgQWBBRFIDI+H6b5jxzVw0cu1HpQ/juo4DAOBgNVHQ8BAf8EBAMCAQYw\
    DwYDVR0TAQH/BAUwAwEB/zAfBgNVHSMEGDAWgBRSMrss+0ZDm9zWgakOZWbgNEHqQDAKBggqhkjOPQQDAwNoADBlAjBfOXmY1+SC\
    cT/oWL17AuVS7uoxMXssLksjChHT+VhTMpWu9J42x3G20hHVGTj+3ZICMQDBYZjd7+vfuyLVCZkTX7wlvjcRJjvrEWyxvkZE5vlq\
    8c3lwH9JyNBP3OeTd3o8IJs=\
    ";

/// caiman/sdk36/TEE_EC_RKP.pem: a Pixel 9 Pro, the key's certificate.
const CAIMAN_LEAF: &str = "\
    MIIDGzCCAsGgAwIBAgIBATAKBggqhkjOPQQDAjA5MSkwJwYDVQQDEyBmMTY1ODQ5ZWYwOGI0NjU4ZGQwYThhYjk1YmU1MzAwNjEM\
    MAoGA1UEChMDVEVFMB4XDTcwMDEwMTAwMDAwMFoXDTQ4MDEwMTAwMDAwMFowHzEdMBsGA1UEAxMUQW5kcm9pZCBLZXlzdG9yZSBL\
    ZXkwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAT6bLfF+PF+L/HsMoOx12w4NIbCX6Fq1Gg6UB/qCDX1IBxdLr8sbFb2yUqCXapl\
    KBKzIs1r4XDpNk3tJg/90dnqo4IB0jCCAc4wggG6BgorBgEEAdZ5AgERBIIBqjCCAaYCAgGQCgEBAgIBkAoBAQQkZDY4OGQ3NjMt\
    NjExOC00Y2E2LTk0YjItZTZjZDllZDdlNGU0BAAwgYW/hT0IAgYBmYameQS/hUVPBE0wSzElMCMEHmNvbS5nb29nbGUuYW5kcm9p\
    ZC5hdHRlc3RhdGlvbgIBADEiBCAQOTjuRTflno7nkvZUUE+4NG/Gs0bQu8RBX8M5/PyOwb+FVCIEIBvKF+5u4Uh7X6ghXXADv2pK\
    NjJwPSo6AlI3I1um/d5hMIHloQgxBgIBAgIBA6IDAgEDowQCAgEApQUxAwIBBKoDAgEBv4N3AgUAv4U+AwIBAL+FQEwwSgQgAAAA\
    AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAABAf8KAQAEIAaiOSW2VH7BJAhspe3dNcNfWM5utooTr9/UGVxBxh7Uv4VBBQID\
    AnEAv4VCBQIDAxcPv4VGCAQGZ29vZ2xlv4VHCAQGY2FpbWFuv4VICAQGY2FpbWFuv4VMCAQGR29vZ2xlv4VNDQQLUGl4ZWwgOSBQ\
    cm+/hU4GAgQBNQHhv4VPBgIEATUB4TAOBgNVHQ8BAf8EBAMCB4AwCgYIKoZIzj0EAwIDSAAwRQIhALnjvaKmThTUE2FYIelBRAbV\
    FhHEUVepNWwsiO89hOWyAiAUNRIISFPVhzDmxJ3Kg+7WZuZhvqCbmIRNEc9T2Wj5+w==\
    ";

/// The certificate above it.
const CAIMAN_DEVICE: &str = "\
    MIIB4zCCAYmgAwIBAgIRAPFlhJ7wi0ZY3QqKuVvlMAYwCgYIKoZIzj0EAwIwKTETMBEGA1UEChMKR29vZ2xlIExMQzESMBAGA1UE\
    AxMJRHJvaWQgQ0EzMB4XDTI1MDkyNDE1MzExOVoXDTI1MTAwMzE1MzExOVowOTEpMCcGA1UEAxMgZjE2NTg0OWVmMDhiNDY1OGRk\
    MGE4YWI5NWJlNTMwMDYxDDAKBgNVBAoTA1RFRTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABMXjddGHbvIEnm/KY0eiet1Mb3/P\
    wyTRf4hvnd7FCZh6x1Vx3KWmWosHt3Q+0h/OjSE84sNSPCXY5WL+a+Hs57OjgYEwfzAdBgNVHQ4EFgQUtOjdcSqT5PMzMGmKK9o8\
    FGuGiL4wHwYDVR0jBBgwFoAUutLawp4XdVbW8jDTgo17DIffDLUwDwYDVR0TAQH/BAUwAwEB/zAOBgNVHQ8BAf8EBAMCAgQwHAYK\
    KwYBBAHWeQIBHgQOowEYQAL1A2ZHb29nbGUwCgYIKoZIzj0EAwIDSAAwRQIhAJI+ghAJeQWKL+1WQrPM9xa8gJWFd2XMDanE3l18\
    k7GkAiBpAmE4CuZAeFdMCjTA9GyKrY1W3K5LJ1s+GeUWBbO7XQ==\
    ";

/// The certificate of the provisioning service.
const CAIMAN_SERVICE: &str = "\
    MIIB1zCCAV2gAwIBAgIUAO10hmNysHkc8UeLOfrQ91VZOtMwCgYIKoZIzj0EAwMwKTETMBEGA1UEChMKR29vZ2xlIExMQzESMBAG\
    A1UEAxMJRHJvaWQgQ0EyMB4XDTI1MDkyNTE3MTMwMloXDTI1MTIwNDE3MTMwMVowKTETMBEGA1UEChMKR29vZ2xlIExMQzESMBAG\
    A1UEAxMJRHJvaWQgQ0EzMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE8VRCMsPUXUvH89X9fyVSDuvtQ96mqHah3/9DEP8mVPWl\
    WJByYezjHM9eV8ZGYCmA46zT5YTQHHimgDVYwtTpg6NjMGEwDgYDVR0PAQH/BAQDAgIEMA8GA1UdEwEB/wQFMAMBAf8wHQYDVR0O\
    BBYEFLrS2sKeF3VW1vIw04KNewyH3wy1MB8GA1UdIwQYMBaAFLv4Nq2Jrmzi5Z6U8NWy19J65HxBMAoGCCqGSM49BAMDA2gAMGUC\
    MFCdzj76ChMqxLRWHQCZIifu/UjzXlL+43gCkME8Msfdwx7bWs83q958TNhztyW5CQIxANt/PMwxizHfWvLrEM2ztgEMt/ocuhxV\
    /M9NtsB9YqsjpOow0wVN/ouT90XxuVMCrA==\
    ";

/// The certificate below the RSA root.
const CAIMAN_GOOGLE: &str = "\
    MIIDgDCCAWigAwIBAgIKA4gmZ2BliZaGDTANBgkqhkiG9w0BAQsFADAbMRkwFwYDVQQFExBmOTIwMDllODUzYjZiMDQ1MB4XDTIy\
    MDEyNjIyNDc1MloXDTM3MDEyMjIyNDc1MlowKTETMBEGA1UEChMKR29vZ2xlIExMQzESMBAGA1UEAxMJRHJvaWQgQ0EyMHYwEAYH\
    KoZIzj0CAQYFK4EEACIDYgAEuppxbZvJgwNXXe6qQKidXqUt1ooT8M6Q+ysWIwpduM2EalST8v/Cy2JN10aqTfUSThJha/oCtG+F\
    9TUUviOch6RahrpjVyBdhopM9MFDlCfkiCkPCPGu2ODMj7O/bKnko2YwZDAdBgNVHQ4EFgQUu/g2rYmubOLlnpTw1bLX0nrkfEEw\
    HwYDVR0jBBgwFoAUNmHhAHyIBQlRi0RsR/8aTMnqTxIwEgYDVR0TAQH/BAgwBgEB/wIBAjAOBgNVHQ8BAf8EBAMCAQYwDQYJKoZI\
    hvcNAQELBQADggIBAIFxUiFHYfObqrJM0eeXI+kZFT57wBplhq+TEjd+78nIWbKvKGUFlvt7IuXHzZ7YJdtSDs7lFtCsxXdrWEmL\
    ckxRDCRcth3Eb1leFespS35NAOd0Hekg8vy2G31OWAe567l6NdLjqytukcF4KAzHIRxoFivN+tlkEJmg7EQw9D2wPq4KpBtug4oJ\
    E53R9bLCT5wSVj63hlzEY3hC0NoSAtp0kdthow86UFVzLqxEjR2B1MPCMlyIfoGyBgkyAWhd2gWN6pVeQ8RZoO5gfPmQuCsn8m9k\
    v/dclFMWLaOawgS4kyAn9iRi2yYjEAI0VVi7u3XDgBVnowtYAn4gma5q4BdXgbWbUTaMVVVZsepXKUpDpKzEfss6Iw0zx2Gql75z\
    RDsgyuDyNUDzutvDMw8mgJmFkWjlkqkVM2diDZydzmgi8br2sJTLdG4lUwvedIaLgjnIDEG1J8/5xcPVQJFgRf3m5XEZB4hjG3We\
    /49p+JRVQSpE1+QzG0raYpdNsxBUO+41diQo7qC7S8w2J+TMeGdpKGjCIzKjUDAy2+gOmZdZacanFN/03SydbKVHV0b/NYRWMa4V\
    aZbomKON38IH2ep8pdj++nmSIXeWpQE8LnMEdnUFjvDzp0f0ELSXVW2+5xbl+fcqWgmOupmU4+bxNJLtknLo49Bg5w9jNn7T7rkF\
    ";

/// Apple's own sample: the key's certificate.
const APPLE_LEAF: &str = "\
    MIIDsjCCAzmgAwIBAgIGAY7x/U1KMAoGCCqGSM49BAMCME8xIzAhBgNVBAMMGkFwcGxlIEFwcCBBdHRlc3RhdGlvbiBDQSAxMRMw\
    EQYDVQQKDApBcHBsZSBJbmMuMRMwEQYDVQQIDApDYWxpZm9ybmlhMB4XDTI0MDQxNzE2MTQ1M1oXDTI0MDQyMDE2MTQ1M1owgZEx\
    STBHBgNVBAMMQDZkMmFjNDg0NWYxMzIzMzIyZjU5MjNmMGJkOWQyMmRiZTUwZTA2YjdiODAxMjFmY2UyYjJiNWU2NmU5ZTk4ZDYx\
    GjAYBgNVBAsMEUFBQSBDZXJ0aWZpY2F0aW9uMRMwEQYDVQQKDApBcHBsZSBJbmMuMRMwEQYDVQQIDApDYWxpZm9ybmlhMFkwEwYH\
    KoZIzj0CAQYIKoZIzj0DAQcDQgAEjC4Mq2+SI5cOf1q26S/XpNbWIaYOVIZEvxl2TvHvhTYR9sK2u1Oyu6LTRoGX5L6rLDbKwOTi\
    T0HzUTLJR15cJKOCAbwwggG4MAwGA1UdEwEB/wQCMAAwDgYDVR0PAQH/BAQDAgTwMIGIBgkqhkiG92NkCAUEezB5pAMCAQq/iTAD\
    AgEBv4kxAwIBAL+JMgMCAQG/iTMDAgEBv4k0KQQnMDM1MjE4NzM5MS5jb20uYXBwbGUuZXhhbXBsZV9hcHBfYXR0ZXN0pQYEBHNr\
    cyC/iTYDAgEFv4k3AwIBAL+JOQMCAQC/iToDAgEAv4k7AwIBADCB1wYJKoZIhvdjZAgHBIHJMIHGv4p4BgQEMTguML+IUAcCBQD/\
    ////v4p7CQQHMjJBMjQ0Yr+KfAYEBDE4LjC/in0GBAQxOC4wv4p+AwIBAL+KfwMCAQC/iwADAgEAv4sBAwIBAL+LAgMCAQC/iwMD\
    AgEAv4sEAwIBAb+LBQMCAQC/iwoQBA4yMi4xLjI0NC4wLjIsML+LCxAEDjIyLjEuMjQ0LjAuMiwwv4sMEAQOMjIuMS4yNDQuMC4y\
    LDC/iAIKBAhpcGhvbmVvc7+IBQoECEludGVybmFsMDMGCSqGSIb3Y2QIAgQmMCShIgQg+20WKnF+yrF3iQBQb6lNZ+4MHcPUWxLN\
    3oG+/Fblt+swCgYIKoZIzj0EAwIDZwAwZAIwIk4vHloC64CyG7xk6mEC2wNk4hFv+CryBxCTirG4ZOdRgu0CrvFuj3zQEmtLDUe2\
    AjACi2YebCyyzhd8AwH1hvLgIrpmMj2AJiy0is9Z5OLDYkz9BNUX0IBWGJlewqdr2iU=\
    ";

/// Apple App Attestation CA 1, of both samples.
const APPLE_CA: &str = "\
    MIICQzCCAcigAwIBAgIQCbrF4bxAGtnUU5W8OBoIVDAKBggqhkjOPQQDAzBSMSYwJAYDVQQDDB1BcHBsZSBBcHAgQXR0ZXN0YXRp\
    b24gUm9vdCBDQTETMBEGA1UECgwKQXBwbGUgSW5jLjETMBEGA1UECAwKQ2FsaWZvcm5pYTAeFw0yMDAzMTgxODM5NTVaFw0zMDAz\
    MTMwMDAwMDBaME8xIzAhBgNVBAMMGkFwcGxlIEFwcCBBdHRlc3RhdGlvbiBDQSAxMRMwEQYDVQQKDApBcHBsZSBJbmMuMRMwEQYD\
    VQQIDApDYWxpZm9ybmlhMHYwEAYHKoZIzj0CAQYFK4EEACIDYgAErls3oHdNebI1j0Dn0fImJvHCX+8XgC3qs4JqWYdP+NKtFSV4\
    mqJmBBkSSLY8uWcGnpjTY71eNw+/oI4ynoBzqYXndG6jWaL2bynbMq9FXiEWWNVnr54mfrJhTcIaZs6Zo2YwZDASBgNVHRMBAf8E\
    CDAGAQH/AgEAMB8GA1UdIwQYMBaAFKyREFMzvb5oQf+nDKnl+url5YqhMB0GA1UdDgQWBBQ+410cBBmpybQx+IR01uHhV3LjmzAO\
    BgNVHQ8BAf8EBAMCAQYwCgYIKoZIzj0EAwMDaQAwZgIxALu+iI1zjQUCz7z9Zm0JV1A1vNaHLD+EMEkmKe3R+RToeZkcmui1rvjT\
    qFQz97YNBgIxAKs47dDMge0ApFLDukT5k2NlU/7MKX8utN+fXr5aSsq2mVxLgg35BDhveAe7WJQ5tw==\
    ";

/// Its authenticator data.
const APPLE_DATA: &str = "\
    FVhAM8lQuf6dUUziohGjJtcaprEBSrTG+i+9qdmqGKZAAAAAAGFwcGF0dGVzdAAAAAAAAAAAIG0qxIRfEyMyL1kj8L2dItvlDga3\
    uAEh/OKyteZunpjWpQECAyYgASFYIIwuDKtvkiOXDn9atukv16TW1iGmDlSGRL8Zdk7x74U2IlggEfbCtrtTsrui00aBl+S+qyw2\
    ysDk4k9B81EyyUdeXCQ=\
    ";

/// A phone with iOS 14.3: the key's certificate.
const PHONE_LEAF: &str = "\
    MIIC9jCCAnugAwIBAgIGAXYloZKNMAoGCCqGSM49BAMCME8xIzAhBgNVBAMMGkFwcGxlIEFwcCBBdHRlc3RhdGlvbiBDQSAxMRMw\
    EQYDVQQKDApBcHBsZSBJbmMuMRMwEQYDVQQIDApDYWxpZm9ybmlhMB4XDTIwMTIwMTIyNDUxNFoXDTIwMTIwNDIyNDUxNFowgZEx\
    STBHBgNVBAMMQDEzNzg4ZTdmMGI0ZjVhNWM1MTFiNTg2ZGY0ZGVlZmMwNjdiYjI0MmY3NmY4NDA0Njg3NDliYWVkMmY4ZGM0OTgx\
    GjAYBgNVBAsMEUFBQSBDZXJ0aWZpY2F0aW9uMRMwEQYDVQQKDApBcHBsZSBJbmMuMRMwEQYDVQQIDApDYWxpZm9ybmlhMFkwEwYH\
    KoZIzj0CAQYIKoZIzj0DAQcDQgAENiBvkEpGrsUL8Zenh7nOQ2F6Htdpl3zyZlBBU0ayh3LxwsvzKEzpiBctoV5THY2BWQpldEuG\
    uHhSGuMyik8vp6OB/zCB/DAMBgNVHRMBAf8EAjAAMA4GA1UdDwEB/wQEAwIE8DCBiwYJKoZIhvdjZAgFBH4wfKQDAgEKv4kwAwIB\
    Ab+JMQMCAQC/iTIDAgEAv4kzAwIBAb+JNDMEMTZNVVJMOFRBNTcuZGUudmluY2VudC1oYXVwZXJ0LmFwcGxlLWFwcGF0dGVzdC1w\
    b2OlBgQEIHNrc7+JNgMCAQW/iTcDAgEAv4k5AwIBAL+JOgMCAQAwGQYJKoZIhvdjZAgHBAwwCr+KeAYEBDE0LjMwMwYJKoZIhvdj\
    ZAgCBCYwJKEiBCAwM6bkfROAdcjEHXQJxjrGjBZAig9ysGXoWUE4HyVbIzAKBggqhkjOPQQDAgNpADBmAjEAq2zvmVX4nwBIRz71\
    gIAy7yl3zaDLrIXFBDQrjt0Hc5J2i0HqeUVL5OimprGyXrPXAjEAuqCEkX0z8oSjxkLA4N6LnyK+eoq3DzYp5PwPByzDqqiqAuT9\
    oLvB3JreKKXExKpK\
    ";

/// Its authenticator data.
const PHONE_DATA: &str = "\
    RWUS6n4mlHark+G3lxaFWS/3P4lKwOwv1UgIoIv7bI9AAAAAAGFwcGF0dGVzdGRldmVsb3AAIBN4jn8LT1pcURtYbfTe78BnuyQv\
    dvhARodJuu0vjcSYpQECAyYgASFYIDYgb5BKRq7FC/GXp4e5zkNheh7XaZd88mZQQVNGsodyIlgg8cLL8yhM6YgXLaFeUx2NgVkK\
    ZXRLhrh4UhrjMopPL6c=\
    ";

/// An assertion by the same key, two seconds later.
const PHONE_ASSERTION: &str = "\
    omlzaWduYXR1cmVYRjBEAiBQVR7bEP0ZhcSuwoLPiJgxu2FgxV0Zytfh1NzoHV1tZgIgNJ8Plom3Wy4m2EoV7JMFgVm+Iao4KI2n\
    6mpFHtVKBNNxYXV0aGVudGljYXRvckRhdGFYJUVlEup+JpR2q5Pht5cWhVkv9z+JSsDsL9VICKCL+2yPQAAAAAE=\
    ";

fn bytes(text: &str) -> Vec<u8> {
    base64::decode(text).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn code<T>(result: carekey_core::Result<T>) -> &'static str {
    result.map_or_else(|error| error.code(), |_| "accepted")
}

#[test]
fn the_pinned_roots_are_those_published() {
    let roots: Vec<String> =
        google_roots().unwrap().iter().map(|root| hex(&root.certificate().sha256())).collect();
    assert_eq!(
        roots,
        [
            "cedb1cb6dc896ae5ec797348bce9286753c2b38ee71ce0fbe34a9a1248800dfc",
            "6d9db4ce6c5c0b293166d08986e05774a8776ceb525d9e4329520de12ba4bcc0"
        ]
    );
    let roots = apple_roots().unwrap();
    assert_eq!(roots.len(), 1);
    assert_eq!(
        hex(&roots[0].certificate().sha256()),
        "1cb9823ba28ba6ad2d33a006941de2ae4f513ef1d4e831b9f7e0fa7b6242c932"
    );
}

#[test]
fn phones_under_both_roots_of_google() {
    // Time of the check; anchor; boot image's patches; the rest is the same in both.
    for (chain, at, anchor, patches, challenge) in [
        (
            [TEGU_LEAF, TEGU_DEVICE, TEGU_SERVICE, TEGU_GOOGLE],
            1_771_900_000, // 2026-02-24
            "Key Attestation CA1",
            20_260_205,
            &b"6417f92c-daef-4cc1-8828-5bb39338ffd5"[..],
        ),
        (
            [CAIMAN_LEAF, CAIMAN_DEVICE, CAIMAN_SERVICE, CAIMAN_GOOGLE],
            1_758_900_700, // 2025-09-26
            "f92009e853b6b045",
            20_251_105,
            &b"d688d763-6118-4ca6-94b2-e6cd9ed7e4e4"[..],
        ),
    ] {
        let chain = UnverifiedChain::from_der(&chain.map(bytes), &Limits::DEFAULT).unwrap();
        let verified = chain.verify(&google_roots().unwrap(), UnixTime::from_secs(at)).unwrap();
        assert!(verified.anchor_subject().contains(anchor), "{}", verified.anchor_subject());
        // Certificates of a remotely provisioned phone live for weeks.
        let later = UnixTime::from_secs(at + 90 * 86_400);
        assert_eq!(code(chain.verify(&google_roots().unwrap(), later)), "x509_expired");

        let with_extension: Vec<bool> =
            chain.certificates().map(|certificate| certificate.extension(EXTENSION).is_some()).collect();
        assert_eq!(with_extension, [true, false, false, false]);
        let description = KeyDescription::parse(&chain.leaf().extension(EXTENSION).unwrap().value).unwrap();
        assert_eq!(description.attestation_level, SecurityLevel::TrustedEnvironment);
        assert_eq!(description.key_level, SecurityLevel::TrustedEnvironment);
        assert_eq!(description.challenge, challenge);
        let hardware = &description.hardware_enforced;
        // Made to be used without its user: real hardware says so, and such a key is refused.
        assert!(hardware.no_auth_required);
        assert_eq!((hardware.user_auth_type, hardware.auth_timeout, hardware.origin), (None, None, Some(0)));
        assert_eq!(
            hardware.root_of_trust,
            Some(RootOfTrust { device_locked: true, boot_state: BootState::Verified })
        );
        assert_eq!(hardware.os_patch_level, Some(patches / 100));
        assert_eq!(hardware.boot_patch_level, Some(patches));
        let app = description.software_enforced.application_id.as_ref().unwrap();
        assert_eq!(app.packages, ["com.google.android.attestation"]);
        assert_eq!(app.signing_digests, [bytes("EDk47kU35Z6O55L2VFBPuDRvxrNG0LvEQV/DOfz8jsE=")]);
    }
}

#[test]
fn descriptions_cut_or_changed_are_never_read_as_something_else() {
    let chain = UnverifiedChain::from_der(&[bytes(TEGU_LEAF)], &Limits::DEFAULT).unwrap();
    let whole = &chain.leaf().extension(EXTENSION).unwrap().value;
    let read = KeyDescription::parse(whole).unwrap();
    for length in 0..whole.len() {
        assert_eq!(code(KeyDescription::parse(&whole[..length])), "android_key_description");
    }
    assert_eq!(code(KeyDescription::parse(&[&whole[..], &[0]].concat())), "android_key_description");
    // Without the flag 503 (a NULL of six bytes) the key would be good: it is not enough to cut it out.
    let flag = whole.windows(6).position(|window| window == [0xbf, 0x83, 0x77, 0x02, 0x05, 0x00]).unwrap();
    let without = [&whole[..flag], &whole[flag + 6..]].concat();
    assert_eq!(code(KeyDescription::parse(&without)), "android_key_description");
    assert!(read.hardware_enforced.no_auth_required);
}

/// CBOR of an attestation object with these parts.
fn object(leaf: &str, data: &str) -> Vec<u8> {
    let (leaf, ca, data) = (bytes(leaf), bytes(APPLE_CA), bytes(data));
    let head = |major: u8, length: usize| {
        let [.., high, low] = length.to_be_bytes();
        if high == 0 { vec![major | 24, low] } else { vec![major | 25, high, low] }
    };
    let mut out = b"\xa3\x63fmt\x6fapple-appattest\x67attStmt\xa1\x63x5c\x82".to_vec();
    for certificate in [leaf, ca] {
        out.extend(head(0x40, certificate.len()));
        out.extend(certificate);
    }
    out.extend(b"\x68authData");
    out.extend(head(0x40, data.len()));
    out.extend(data);
    out
}

fn expected<'a>(
    app_ids: &'a [String],
    now: i64,
    roots: &'a [carekey_core::x509::TrustAnchor],
) -> AppAttestExpectation<'a> {
    AppAttestExpectation { roots, app_ids, policy: ApplePolicy::default(), now: UnixTime::from_secs(now) }
}

#[test]
fn the_sample_of_apples_guide() {
    const NOW: i64 = 1_713_441_600; // 2024-04-18
    // In the guide the challenge itself stands for its hash.
    const CHALLENGE: &[u8] = b"test_server_challenge";
    let roots = apple_roots().unwrap();
    let apps = ["0352187391.com.apple.example_app_attest".to_owned()];
    let key_id = bytes("bSrEhF8TIzIvWSPwvZ0i2+UOBre4ASH84rK15m6emNY=");
    let object = object(APPLE_LEAF, APPLE_DATA);
    let verify = |key_id: &[u8], challenge: &[u8], expected: &AppAttestExpectation<'_>| {
        verify_attestation(&object, key_id, challenge, expected, &Limits::DEFAULT)
    };
    let good = expected(&apps, NOW, &roots);
    let key = verify(&key_id, CHALLENGE, &good).unwrap();
    assert_eq!((key.app_id.as_str(), key.counter), (apps[0].as_str(), 0));
    assert_eq!(sha256(&key.public_key.public_key().unwrap().to_sec1_uncompressed()).to_vec(), key_id);

    assert_eq!(code(verify(&key_id, b"test_server_challengf", &good)), "app_attest_nonce");
    assert_eq!(code(verify(&[0; 32], CHALLENGE, &good)), "app_attest_key_id");
    let others = ["0352187391.com.apple.other".to_owned()];
    assert_eq!(code(verify(&key_id, CHALLENGE, &expected(&others, NOW, &roots))), "app_attest_app_id");
    assert_eq!(code(verify(&key_id, CHALLENGE, &expected(&apps, NOW + 3 * 86_400, &roots))), "x509_expired");
    let google = google_roots().unwrap();
    assert_eq!(code(verify(&key_id, CHALLENGE, &expected(&apps, NOW, &google))), "attestation_untrusted");
}

#[test]
fn an_attestation_and_an_assertion_of_one_phone() {
    const NOW: i64 = 1_606_949_112; // 2020-12-02
    let roots = apple_roots().unwrap();
    let apps = ["6MURL8TA57.de.vincent-haupert.apple-appattest-poc".to_owned()];
    let key_id = bytes("E3iOfwtPWlxRG1ht9N7vwGe7JC92+EBGh0m67S+NxJg=");
    let hash = sha256(b"wurzelpfropf");
    let attestation = object(PHONE_LEAF, PHONE_DATA);
    let verify = |allow_development| {
        let policy = ApplePolicy { allow_development };
        let expected = AppAttestExpectation { policy, ..expected(&apps, NOW, &roots) };
        verify_attestation(&attestation, &key_id, &hash, &expected, &Limits::DEFAULT)
    };
    assert_eq!(code(verify(false)), "app_attest_environment");
    let key = verify(true).unwrap();

    let assertion = bytes(PHONE_ASSERTION);
    assert_eq!(verify_assertion(&assertion, &key, &hash, &apps).unwrap(), 1);
    let used = AppAttestKey { counter: 1, ..key.clone() };
    assert_eq!(code(verify_assertion(&assertion, &used, &hash, &apps)), "app_attest_counter");
    assert_eq!(code(verify_assertion(&assertion, &key, &sha256(b"another"), &apps)), "app_attest_signature");
    // Every flipped bit is noticed.
    for at in 0..assertion.len() {
        let mut flipped = assertion.clone();
        flipped[at] ^= 1;
        assert!(verify_assertion(&flipped, &key, &hash, &apps).is_err(), "byte {at}");
    }
}
