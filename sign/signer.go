package sign

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/secure-systems-lab/go-securesystemslib/encrypted"
	"github.com/sigstore/cosign/v2/pkg/cosign"
	bundlepb "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	commonpb "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	sgsign "github.com/sigstore/sigstore-go/pkg/sign"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/options"
	"github.com/sigstore/sigstore/pkg/signature/payload"
	"google.golang.org/protobuf/encoding/protojson"
)

// Signer signs images and statements about them. Loading one costs a key
// derivation (about 0.15 s); make it once. It is safe for concurrent use.
type Signer struct {
	key    Key
	sv     signature.SignerVerifier
	algo   signature.AlgorithmDetails
	public crypto.PublicKey

	keyless *keyless // nil for a key of one's own
}

// ErrPassphrase says that a private key was not opened by the passphrase given.
var ErrPassphrase = errors.New("wrong passphrase or damaged key")

// LoadSigner opens a private key in cosign's encrypted PEM form.
func LoadSigner(private, passphrase []byte) (*Signer, error) {
	if len(private) > maxKeyFile {
		return nil, fmt.Errorf("load signing key: over %d bytes", maxKeyFile)
	}
	block, _ := pem.Decode(private)
	if block == nil {
		return nil, errors.New("load signing key: no PEM block found")
	}
	if block.Type != cosign.SigstorePrivateKeyPemType && block.Type != cosign.CosignPrivateKeyPemType {
		return nil, fmt.Errorf("load signing key: PEM type is %q, want %q: import the key first",
			block.Type, cosign.SigstorePrivateKeyPemType)
	}
	der, err := encrypted.Decrypt(block.Bytes, passphrase)
	if err != nil {
		return nil, fmt.Errorf("load signing key: %w", ErrPassphrase)
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, errors.New("load signing key: the sealed key does not parse as PKCS #8")
	}
	sv, err := signature.LoadDefaultSignerVerifier(key)
	if err != nil {
		return nil, fmt.Errorf("load signing key: %w", err)
	}
	return newSigner(sv)
}

func newSigner(sv signature.SignerVerifier) (*Signer, error) {
	public, err := sv.PublicKey()
	if err != nil {
		return nil, fmt.Errorf("load signing key: read public key: %w", err)
	}
	key, err := newKey(public)
	if err != nil {
		return nil, fmt.Errorf("load signing key: %w", err)
	}
	algo, err := signature.GetDefaultAlgorithmDetails(public)
	if err != nil {
		return nil, fmt.Errorf("load signing key: %w", err)
	}
	return &Signer{key: key, sv: sv, algo: algo, public: public}, nil
}

func sealKey(key crypto.Signer, passphrase []byte) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode key: %w", err)
	}
	sealed, err := encrypted.Encrypt(der, passphrase)
	if err != nil {
		return nil, fmt.Errorf("seal key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: cosign.SigstorePrivateKeyPemType, Bytes: sealed}), nil
}

// Key is the public half. A keyless signer has none that outlives a signature;
// its Key is zero.
func (s *Signer) Key() Key {
	return s.key
}

// Keyless reports whether each signature gets a short-lived certificate. Such a
// signer writes bundles only: the legacy form would need a Rekor v1 log.
func (s *Signer) Keyless() bool {
	return s.keyless != nil
}

// SignImage returns a legacy signature: the simple-signing payload that names
// the digest and the repository, and the signature over it.
func (s *Signer) SignImage(ctx context.Context, repository name.Repository, digest v1.Hash) (Layer, error) {
	if s.keyless != nil {
		return Layer{}, errors.New("sign image: a keyless signer writes no legacy signature")
	}
	message, err := payload.Cosign{Image: repository.Digest(digest.String())}.MarshalJSON()
	if err != nil {
		return Layer{}, fmt.Errorf("sign image: %w", err)
	}
	raw, err := s.sv.SignMessage(bytes.NewReader(message), options.WithContext(ctx))
	if err != nil {
		return Layer{}, fmt.Errorf("sign image: %w", err)
	}
	return Layer{
		MediaType:   mediaTypeSimpleSigning,
		Data:        message,
		Annotations: map[string]string{annotationSignature: base64.StdEncoding.EncodeToString(raw)},
	}, nil
}

// SignStatement signs an in-toto statement and returns it in both storage
// forms. One signature serves both, so they cannot disagree.
func (s *Signer) SignStatement(ctx context.Context, statement Statement) (Signed, error) {
	data, err := json.Marshal(statement)
	if err != nil {
		return Signed{}, fmt.Errorf("sign statement: %w", err)
	}
	content := &sgsign.DSSEData{Data: data, PayloadType: payloadTypeInToto}
	bundle, err := s.bundle(ctx, content)
	if err != nil {
		return Signed{}, fmt.Errorf("sign statement %s: %w", statement.PredicateType, err)
	}
	raw, err := protojson.Marshal(bundle)
	if err != nil {
		return Signed{}, fmt.Errorf("sign statement: encode bundle: %w", err)
	}
	signed := Signed{PredicateType: statement.PredicateType, Bundle: raw}
	if s.keyless == nil {
		signed.Envelope, err = legacyEnvelope(statement.PredicateType, bundle)
	}
	return signed, err
}

func (s *Signer) bundle(ctx context.Context, content *sgsign.DSSEData) (*bundlepb.Bundle, error) {
	if s.keyless != nil {
		return s.keyless.bundle(ctx, content)
	}
	return sgsign.Bundle(content, keypair{s}, sgsign.BundleOptions{Context: ctx})
}

// Signed is a signed statement in the forms it is stored in.
type Signed struct {
	PredicateType string
	// Bundle is the sigstore bundle v0.3, JSON.
	Bundle []byte
	// Envelope is the layer of a legacy .att manifest; without data when the
	// signer writes none.
	Envelope Layer
}

func legacyEnvelope(predicateType string, bundle *bundlepb.Bundle) (Layer, error) {
	in := bundle.GetDsseEnvelope()
	if in == nil || len(in.GetSignatures()) != 1 {
		return Layer{}, errors.New("encode envelope: the bundle holds no DSSE envelope with one signature")
	}
	data, err := json.Marshal(envelope{
		PayloadType: in.GetPayloadType(),
		Payload:     in.GetPayload(),
		Signatures:  []envelopeSignature{{Sig: in.GetSignatures()[0].GetSig()}},
	})
	if err != nil {
		return Layer{}, fmt.Errorf("encode envelope: %w", err)
	}
	return Layer{
		MediaType: mediaTypeDSSE,
		Data:      data,
		// cosign reads the signature annotation of every layer, even where the
		// signature is inside the envelope.
		Annotations: map[string]string{annotationSignature: "", annotationPredicateType: predicateType},
	}, nil
}

// keypair shows a Signer to sigstore-go.
type keypair struct{ s *Signer }

func (k keypair) GetHashAlgorithm() commonpb.HashAlgorithm { return k.s.algo.GetProtoHashType() }
func (k keypair) GetSigningAlgorithm() commonpb.PublicKeyDetails {
	return k.s.algo.GetSignatureAlgorithm()
}
func (k keypair) GetHint() []byte                  { return []byte(k.s.key.ID) }
func (k keypair) GetPublicKey() crypto.PublicKey   { return k.s.public }
func (k keypair) GetPublicKeyPem() (string, error) { return string(k.s.key.PEM), nil }

func (k keypair) GetKeyAlgorithm() string {
	if k.s.algo.GetKeyType() == signature.RSA {
		return "RSA"
	}
	return "ECDSA"
}

func (k keypair) SignData(ctx context.Context, data []byte) ([]byte, []byte, error) {
	raw, err := k.s.sv.SignMessage(bytes.NewReader(data), options.WithContext(ctx))
	if err != nil {
		return nil, nil, err
	}
	h := k.s.algo.GetHashType().New()
	h.Write(data)
	return raw, h.Sum(nil), nil
}
