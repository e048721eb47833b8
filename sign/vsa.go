package sign

import (
	"encoding/json"
	"fmt"
	"time"
)

// VSAOptions describes the check that a verification summary is about.
type VSAOptions struct {
	// Verifier is the URI of who checked.
	Verifier string
	// Resource is the URI of the image, such as its name in the registry.
	Resource string
	// Policy is the URI of what was demanded.
	Policy string
	// Time is when the check was made.
	Time time.Time
}

// NewVSA writes the predicate of a verification summary,
// slsa.dev/verification_summary/v1, for a report that was accepted. It claims no
// SLSA level: a signature says who vouches for an image, not how it was built.
func NewVSA(r Report, o VSAOptions) ([]byte, error) {
	if len(r.Refusals) > 0 || len(r.Signatures) == 0 {
		return nil, fmt.Errorf("write verification summary of %s: the image was not accepted", r.Digest)
	}
	if o.Verifier == "" || o.Resource == "" || o.Policy == "" || o.Time.IsZero() {
		return nil, fmt.Errorf("write verification summary of %s: verifier, resource, policy and time are needed", r.Digest)
	}
	type id map[string]string
	type attestation struct {
		Digest map[string]string `json:"digest"`
	}
	var inputs []attestation
	for _, e := range r.Attestations {
		inputs = append(inputs, attestation{map[string]string{e.Manifest.Algorithm: e.Manifest.Hex}})
	}
	return json.Marshal(map[string]any{
		"verifier":           id{"id": o.Verifier},
		"timeVerified":       o.Time.UTC().Format(time.RFC3339),
		"resourceUri":        o.Resource,
		"policy":             id{"uri": o.Policy},
		"inputAttestations":  inputs,
		"verificationResult": "PASSED",
		"verifiedLevels":     []string{"SLSA_BUILD_LEVEL_UNEVALUATED"},
		"slsaVersion":        "1.1",
	})
}
