package sign

import (
	"context"
	"errors"

	bundlepb "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	sgsign "github.com/sigstore/sigstore-go/pkg/sign"
)

// keyless asks a certificate authority, a log and a timestamp authority.
type keyless struct{}

func (k *keyless) bundle(context.Context, *sgsign.DSSEData) (*bundlepb.Bundle, error) {
	return nil, errors.New("keyless signing is not available")
}
