package sign

import (
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

func TestNewVSA(t *testing.T) {
	o := VSAOptions{Verifier: "https://example.com/verifier", Resource: "oci://r.example/app", Policy: "https://example.com/policy",
		Time: time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)}
	digest := v1.Hash{Algorithm: "sha256", Hex: "aa"}
	accepted := Report{Digest: digest, Signatures: []Evidence{{}}, Attestations: []Evidence{{Manifest: digest}}}
	predicate, err := NewVSA(accepted, o)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"inputAttestations":[{"digest":{"sha256":"aa"}}],"policy":{"uri":"https://example.com/policy"},` +
		`"resourceUri":"oci://r.example/app","slsaVersion":"1.1","timeVerified":"2026-11-22T00:00:00Z",` +
		`"verificationResult":"PASSED","verifiedLevels":["SLSA_BUILD_LEVEL_UNEVALUATED"],"verifier":{"id":"https://example.com/verifier"}}`
	if string(predicate) != want {
		t.Errorf("got %s", predicate)
	}
	if err := RequireVSA().Check([]Statement{{Predicate: predicate}}); err != nil {
		t.Errorf("the summary is not accepted: %v", err)
	}
	for name, r := range map[string]Report{
		"refused":  {Digest: digest, Signatures: []Evidence{{}}, Refusals: []Refusal{{}}},
		"unsigned": {Digest: digest},
	} {
		if _, err := NewVSA(r, o); err == nil {
			t.Errorf("%s: summarised", name)
		}
	}
}
