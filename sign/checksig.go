package sign

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	sgbundle "github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	sgverify "github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/payload"
)

// envelope is a DSSE envelope: github.com/secure-systems-lab/dsse, envelope.md.
type envelope struct {
	PayloadType string              `json:"payloadType"`
	Payload     []byte              `json:"payload"`
	Signatures  []envelopeSignature `json:"signatures"`
}

type envelopeSignature struct {
	KeyID string `json:"keyid"`
	Sig   []byte `json:"sig"`
}

const maxEnvelopeSignatures = 16

// legacySignature checks one layer of a .sig manifest: who signed the payload,
// and that the payload names this image. The second is what keeps a signature
// copied from another image from counting.
func (c *collector) legacySignature(ctx context.Context, layer Layer) (Evidence, error) {
	if layer.MediaType != mediaTypeSimpleSigning {
		return Evidence{}, reject(CodeForeign, "a layer of type %s, not a signature", clip(string(layer.MediaType)))
	}
	var e Evidence
	var err error
	if layer.Annotations[annotationCertificate] != "" {
		e, err = c.certificateSignature(ctx, layer)
	} else {
		e, err = c.keySignature(layer)
	}
	if err != nil {
		return Evidence{}, err
	}
	e.PredicateType = PredicateSignature
	return e, checkClaim(layer.Data, c.digest)
}

func (c *collector) keySignature(layer Layer) (Evidence, error) {
	raw, err := base64.StdEncoding.DecodeString(layer.Annotations[annotationSignature])
	if err != nil || len(raw) == 0 {
		return Evidence{}, reject(CodeTampered, "its signature is not base64")
	}
	key, err := c.opts.findKey(func(k Key) error {
		return k.verifier.VerifySignature(bytes.NewReader(raw), bytes.NewReader(layer.Data))
	}, time.Time{})
	if err != nil {
		return Evidence{}, err
	}
	return Evidence{KeyID: key.ID}, nil
}

// findKey returns the key that verifies, if it is inside its window. seen is the
// trusted time of the signature; zero stands for the time of the check.
func (o VerifyOptions) findKey(verifies func(Key) error, seen time.Time) (Key, error) {
	if len(o.Keys) == 0 {
		return Key{}, reject(CodeWrongIdentity, "signed by a key, and no key is accepted")
	}
	if seen.IsZero() {
		seen = o.now()
	}
	for _, k := range o.Keys {
		if verifies(k) != nil {
			continue
		}
		if !k.acceptsAt(seen) {
			return Key{}, reject(CodeKeyWindow, "signed by %s, which is not accepted at %s",
				k, seen.UTC().Format(time.RFC3339))
		}
		return k, nil
	}
	return Key{}, reject(CodeWrongKey, "not signed by %s, or changed after signing", keyNames(o.Keys))
}

func keyNames(keys []Key) string {
	if len(keys) == 1 {
		return keys[0].String()
	}
	return fmt.Sprintf("any of the %d keys given", len(keys))
}

// checkClaim compares the digest that was signed with the digest at hand.
func checkClaim(message []byte, digest v1.Hash) error {
	var claim payload.SimpleContainerImage
	if err := json.Unmarshal(message, &claim); err != nil {
		return reject(CodeTampered, "its payload does not parse: %v", err)
	}
	if claim.Critical.Type != payload.CosignSignatureType {
		return reject(CodeTampered, "its payload has type %s", clip(claim.Critical.Type))
	}
	if claim.Critical.Image.DockerManifestDigest != digest.String() {
		return reject(CodeOtherImage, "the signature is for another image: %s",
			clip(claim.Critical.Image.DockerManifestDigest))
	}
	return nil
}

// legacyAttestation checks one layer of an .att manifest.
func (c *collector) legacyAttestation(ctx context.Context, layer Layer) (Evidence, error) {
	if layer.MediaType != mediaTypeDSSE {
		return Evidence{}, reject(CodeForeign, "a layer of type %s, not an attestation", clip(string(layer.MediaType)))
	}
	var env envelope
	if err := json.Unmarshal(layer.Data, &env); err != nil {
		return Evidence{}, reject(CodeTampered, "the envelope does not parse: %v", err)
	}
	if env.PayloadType != payloadTypeInToto {
		return Evidence{}, reject(CodeForeign, "an envelope of %s, not of a statement", clip(env.PayloadType))
	}
	if len(env.Signatures) > maxEnvelopeSignatures {
		return Evidence{}, reject(CodeTampered, "an envelope with %d signatures", len(env.Signatures))
	}
	e, err := c.envelopeSigner(ctx, layer, env)
	if err != nil {
		return Evidence{}, err
	}
	if e.Statement, err = parseStatement(env.Payload, c.digest); err != nil {
		return Evidence{}, err
	}
	if e.Statement.PredicateType == PredicateSignature {
		return Evidence{}, reject(CodeForeign, "a signature statement where attestations belong")
	}
	e.PredicateType = e.Statement.PredicateType
	return e, nil
}

func (c *collector) envelopeSigner(ctx context.Context, layer Layer, env envelope) (Evidence, error) {
	if layer.Annotations[annotationCertificate] != "" {
		return c.certificateAttestation(ctx, layer)
	}
	signed := dsse.PAE(env.PayloadType, env.Payload)
	key, err := c.opts.findKey(func(k Key) error {
		for _, s := range env.Signatures {
			if k.verifier.VerifySignature(bytes.NewReader(s.Sig), bytes.NewReader(signed)) == nil {
				return nil
			}
		}
		return errors.New("no signature verifies")
	}, time.Time{})
	return Evidence{KeyID: key.ID}, err
}

// verifyBundle checks a sigstore bundle about the image.
func verifyBundle(data []byte, digest v1.Hash, opts VerifyOptions) (Evidence, error) {
	var b sgbundle.Bundle
	if err := b.UnmarshalJSON(data); err != nil {
		return Evidence{}, reject(CodeTampered, "the bundle does not parse: %v", err)
	}
	content, err := b.SignatureContent()
	if err != nil {
		return Evidence{}, reject(CodeTampered, "the bundle holds no signature: %v", err)
	}
	env := content.EnvelopeContent()
	if env == nil || env.RawEnvelope() == nil {
		return Evidence{}, reject(CodeForeign, "a bundle without a statement")
	}
	material, err := b.VerificationContent()
	if err != nil {
		return Evidence{}, reject(CodeTampered, "the bundle names no signer: %v", err)
	}
	var e Evidence
	if material.Certificate() != nil {
		e, err = certificateBundle(&b, digest, opts)
	} else {
		e, err = keyBundle(&b, digest, opts)
	}
	if err != nil {
		return Evidence{}, err
	}
	// The verifier above has checked the signature over these very bytes.
	raw, err := env.RawEnvelope().DecodeB64Payload()
	if err != nil {
		return Evidence{}, reject(CodeTampered, "the statement is not base64: %v", err)
	}
	if env.RawEnvelope().PayloadType != payloadTypeInToto {
		return Evidence{}, reject(CodeForeign, "a bundle of %s, not of a statement", clip(env.RawEnvelope().PayloadType))
	}
	if e.Statement, err = parseStatement(raw, digest); err != nil {
		return Evidence{}, err
	}
	e.PredicateType = e.Statement.PredicateType
	if l, err := legacyEnvelope(e.PredicateType, b.Bundle); err == nil {
		e.envelope = l.Data
	}
	return e, nil
}

func keyBundle(b *sgbundle.Bundle, digest v1.Hash, opts VerifyOptions) (Evidence, error) {
	policy, err := bundlePolicy(digest, sgverify.WithKey())
	if err != nil {
		return Evidence{}, err
	}
	key, err := opts.findKey(func(k Key) error {
		material := root.NewTrustedPublicKeyMaterial(func(string) (root.TimeConstrainedVerifier, error) {
			return anytime{k.verifier}, nil
		})
		v, err := sgverify.NewVerifier(material, sgverify.WithNoObserverTimestamps(), sgverify.WithoutStatementPredicate())
		if err != nil {
			return err
		}
		_, err = v.Verify(b, policy)
		return err
	}, time.Time{})
	if err != nil {
		return Evidence{}, explainKeyBundle(b, digest, opts, err)
	}
	return Evidence{KeyID: key.ID}, nil
}

// explainKeyBundle replaces "wrong key" by "other image" where one of the keys
// did sign the statement. It only ever returns an error.
func explainKeyBundle(b *sgbundle.Bundle, digest v1.Hash, opts VerifyOptions, cause error) error {
	for _, k := range opts.Keys {
		data, ok := signedByKey(b, k)
		if !ok {
			continue
		}
		if _, err := parseStatement(data, digest); err != nil {
			return err
		}
	}
	return cause
}

// signedByKey checks the signature alone and returns what was signed.
func signedByKey(b *sgbundle.Bundle, k Key) ([]byte, bool) {
	env, err := b.Envelope()
	if err != nil || env.Envelope == nil || len(env.Signatures) != 1 {
		return nil, false
	}
	data, err := env.DecodeB64Payload()
	if err != nil {
		return nil, false
	}
	sig, err := base64.StdEncoding.DecodeString(env.Signatures[0].Sig)
	if err != nil {
		return nil, false
	}
	return data, k.verifier.VerifySignature(bytes.NewReader(sig), bytes.NewReader(dsse.PAE(env.PayloadType, data))) == nil
}

func bundlePolicy(digest v1.Hash, option sgverify.PolicyOption) (sgverify.PolicyBuilder, error) {
	sum, err := digestBytes(digest)
	if err != nil {
		return sgverify.PolicyBuilder{}, err
	}
	return sgverify.NewPolicy(sgverify.WithArtifactDigest(digest.Algorithm, sum), option), nil
}

func digestBytes(digest v1.Hash) ([]byte, error) {
	sum, err := hex.DecodeString(digest.Hex)
	if err != nil {
		return nil, fmt.Errorf("read digest %s: %w", digest, err)
	}
	return sum, nil
}

// anytime leaves the key's window to findKey, which knows the time to use.
type anytime struct{ signature.Verifier }

func (anytime) ValidAtTime(time.Time) bool { return true }
