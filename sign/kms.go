package sign

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"regexp"

	"github.com/sigstore/sigstore/pkg/signature/kms"
)

// kmsReference is NAME://KEY, as sigstore's plugins are addressed.
var kmsReference = regexp.MustCompile(`^[a-z0-9]{1,32}://[^\s]{1,512}$`)

// IsKMSReference reports whether a key is named by address rather than by file.
func IsKMSReference(key string) bool {
	return kmsReference.MatchString(key)
}

// LoadKMS returns a signer whose key never leaves a key management service. The
// service is reached through a program of the name sigstore-kms-NAME on the
// PATH, sigstore's plugin protocol. None is linked in, so none costs anything
// where it is not used, and none comes with hardstand.
func LoadKMS(ctx context.Context, reference string) (*Signer, error) {
	if !IsKMSReference(reference) {
		return nil, fmt.Errorf("load key %q: not of the form NAME://KEY", reference)
	}
	sv, err := kms.Get(ctx, reference, crypto.SHA256)
	var missing *kms.ProviderNotFoundError
	if errors.As(err, &missing) {
		return nil, fmt.Errorf("load key %s: no plugin found: put sigstore-kms-NAME on the PATH: %w", reference, err)
	}
	if err != nil {
		return nil, fmt.Errorf("load key %s: %w", reference, err)
	}
	return newSigner(sv)
}
