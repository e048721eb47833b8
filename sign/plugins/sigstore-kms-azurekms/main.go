// Command sigstore-kms-azurekms signs with keys in Azure Key Vault, for hardstand
// and every other program that speaks sigstore's plugin protocol.
package main

import (
	"github.com/sigstore/sigstore/pkg/signature/kms/azure"

	"github.com/hardstand/hardstand/sign/plugins/plugin"
)

func main() { plugin.Main(azure.ReferenceScheme) }
