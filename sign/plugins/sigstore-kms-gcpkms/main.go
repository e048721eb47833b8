// Command sigstore-kms-gcpkms signs with keys in Google Cloud KMS, for hardstand
// and every other program that speaks sigstore's plugin protocol.
package main

import (
	"github.com/sigstore/sigstore/pkg/signature/kms/gcp"

	"github.com/hardstand/hardstand/sign/plugins/plugin"
)

func main() { plugin.Main(gcp.ReferenceScheme) }
