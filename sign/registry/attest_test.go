package registry

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/hardstand/hardstand/sign"
)

const passed = `{"result":"PASSED","configuration":[]}`

// A scanner's key attests an image that the release key signed: the claim
// counts where that key is trusted, and is no signature anywhere.
func TestAttest(t *testing.T) {
	for kind, options := range map[string]ServeOptions{"referrers-api": {}, "referrers-tag": {NoReferrers: true}} {
		t.Run(kind, func(t *testing.T) {
			ctx := context.Background()
			tag := serve(t, NewHandler(options))
			index := newIndex(t, false)
			mustPublish(t, publication1(t, tag, index))
			o := AttestOptions{Image: tag, Verify: policy(), Signer: otherKey(), Remote: quick(),
				Attestations: []Attestation{{PredicateType: sign.PredicateTestResult, Predicate: []byte(passed)}}}
			done, err := Attest(ctx, o)
			if err != nil || done.Attested != 1 || done.Digest != digestOf(t, index) {
				t.Fatalf("Attest: %+v, %v", done, err)
			}
			if done, err = Attest(ctx, o); err != nil || done.Attested != 0 {
				t.Errorf("again: %+v, %v", done, err)
			}
			both := policy()
			both.Keys = append(both.Keys, otherKey().Key())
			both.Require = []sign.Requirement{sign.RequireTests()}
			if report, err := Verify(ctx, tag, quick(), both); err != nil {
				t.Errorf("with both keys: %v\n%s", err, asJSON(t, report))
			}
			onlyRelease := policy()
			onlyRelease.Require = both.Require
			var refused *sign.RefusedError
			if _, err := Verify(ctx, tag, quick(), onlyRelease); !errors.As(err, &refused) || !refused.Has(sign.CodeAttestation) {
				t.Errorf("the release key alone: %v", err)
			}
			onlyScanner := sign.VerifyOptions{Keys: []sign.Key{otherKey().Key()}}
			if _, err := Verify(ctx, tag, quick(), onlyScanner); !errors.As(err, &refused) {
				t.Errorf("the scanner's key signs the image: %v", err)
			}
		})
	}
}

func TestAttestRefuses(t *testing.T) {
	ctx := context.Background()
	s := newScene(t, ServeOptions{})
	claim := []Attestation{{PredicateType: sign.PredicateTestResult, Predicate: []byte(passed)}}
	unsigned := s.tag.Digest(s.subject.Digest.String())
	var refused *sign.RefusedError
	_, err := Attest(ctx, AttestOptions{Image: unsigned, Verify: smallPolicy(), Signer: ourKey(), Attestations: claim, Remote: quick()})
	if !errors.As(err, &refused) {
		t.Errorf("an unsigned image: %v", err)
	}
	if list, err := s.repo.Referrers(ctx, s.subject.Digest); err != nil || len(list) != 0 {
		t.Errorf("the unsigned image has %d referrers, %v", len(list), err)
	}
	_, err = Attest(ctx, AttestOptions{Image: s.tag, Verify: sign.VerifyOptions{Keys: []sign.Key{otherKey().Key()}}, Signer: ourKey(), Attestations: claim, Remote: quick()})
	if !errors.As(err, &refused) {
		t.Errorf("an image that others signed: %v", err)
	}
	claim[0].PredicateType = sign.PredicateSignature
	if _, err = Attest(ctx, AttestOptions{Image: s.tag, Verify: smallPolicy(), Signer: ourKey(), Attestations: claim, Remote: quick()}); err == nil || !strings.Contains(err.Error(), "signature") {
		t.Errorf("a signature as an attestation: %v", err)
	}
}
