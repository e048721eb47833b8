// Command sigstore-kms-awskms signs with keys in AWS KMS, for hardstand
// and every other program that speaks sigstore's plugin protocol.
package main

import (
	"github.com/sigstore/sigstore/pkg/signature/kms/aws"

	"github.com/hardstand/hardstand/sign/plugins/plugin"
)

func main() { plugin.Main(aws.ReferenceScheme) }
