"""The CareKey wallet: collect health credentials, keep them, present them.

Start with :func:`open_wallet`. What the app provides is in the protocols ``HardwareKeyStore``, ``WalletStorage`` and so on;
:mod:`carekey_wallet.software` has all of them in memory, for demonstrations and tests.
"""

from .carekey_wallet_ffi import *  # noqa: F403 - the generated module names what it exports
from .carekey_wallet_ffi import __all__ as __all__
