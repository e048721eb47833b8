// Command sigstore-kms-hashivault signs with keys in Vault's transit engine, for hardstand
// and every other program that speaks sigstore's plugin protocol.
package main

import (
	"github.com/sigstore/sigstore/pkg/signature/kms/hashivault"

	"github.com/hardstand/hardstand/sign/plugins/plugin"
)

func main() { plugin.Main(hashivault.ReferenceScheme) }
