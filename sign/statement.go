package sign

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Predicate types that hardstand writes and knows the content of.
const (
	PredicateSignature  = "https://sigstore.dev/cosign/sign/v1"
	PredicateSPDX       = "https://spdx.dev/Document"
	PredicateCycloneDX  = "https://cyclonedx.org/bom"
	PredicateProvenance = "https://slsa.dev/provenance/v1"
	PredicateVulns      = "https://in-toto.io/attestation/vulns/v0.1"
	PredicateOpenVEX    = "https://openvex.dev/ns/v0.2.0"
	PredicateTestResult = "https://in-toto.io/attestation/test-result/v0.1"
	PredicateVSA        = "https://slsa.dev/verification_summary/v1"
)

const (
	statementType     = "https://in-toto.io/Statement/v1"
	statementTypeV01  = "https://in-toto.io/Statement/v0.1"
	payloadTypeInToto = "application/vnd.in-toto+json"

	maxPredicateType = 256 // bytes
)

// Statement is an in-toto Statement v1 about one image: what somebody claims
// (the predicate) about a digest (the subject).
type Statement struct {
	Type          string            `json:"_type"`
	Subject       []ResourceDigests `json:"subject"`
	PredicateType string            `json:"predicateType"`
	Predicate     json.RawMessage   `json:"predicate"`
}

// ResourceDigests names a subject by its digests, algorithm to hex.
type ResourceDigests struct {
	Name   string            `json:"name,omitempty"`
	Digest map[string]string `json:"digest"`
}

// NewStatement makes a statement about an image. The predicate is JSON; its
// whitespace is removed, so that the same claim has the same bytes.
func NewStatement(subject v1.Hash, predicateType string, predicate []byte) (Statement, error) {
	if predicateType == "" || len(predicateType) > maxPredicateType {
		return Statement{}, fmt.Errorf("make statement: predicate type of %d bytes, want 1 to %d",
			len(predicateType), maxPredicateType)
	}
	if subject.Algorithm == "" || subject.Hex == "" {
		return Statement{}, errors.New("make statement: no subject")
	}
	compact, err := compactJSON(predicate)
	if err != nil {
		return Statement{}, fmt.Errorf("make statement %s: predicate is not JSON: %w", predicateType, err)
	}
	return Statement{
		Type:          statementType,
		Subject:       []ResourceDigests{{Digest: map[string]string{subject.Algorithm: subject.Hex}}},
		PredicateType: predicateType,
		Predicate:     compact,
	}, nil
}

// SignatureStatement is the statement whose bundle is the image's signature.
func SignatureStatement(subject v1.Hash) Statement {
	return Statement{
		Type:          statementType,
		Subject:       []ResourceDigests{{Digest: map[string]string{subject.Algorithm: subject.Hex}}},
		PredicateType: PredicateSignature,
		Predicate:     json.RawMessage("{}"),
	}
}

// compactJSON gives the bytes that json.Marshal would store, so that a predicate
// read back from a statement compares equal to the one handed in.
func compactJSON(in []byte) (json.RawMessage, error) {
	return json.Marshal(json.RawMessage(in))
}

// parseStatement reads a signed statement and checks that it is about subject.
func parseStatement(data []byte, subject v1.Hash) (Statement, error) {
	var s Statement
	if err := json.Unmarshal(data, &s); err != nil {
		return Statement{}, reject(CodeTampered, "the statement does not parse: %v", err)
	}
	if s.Type != statementType && s.Type != statementTypeV01 {
		return Statement{}, reject(CodeTampered, "the statement's type is %q", clip(s.Type))
	}
	if s.PredicateType == "" || len(s.PredicateType) > maxPredicateType {
		return Statement{}, reject(CodeTampered, "the statement names no usable predicate type")
	}
	for _, r := range s.Subject {
		if r.Digest[subject.Algorithm] == subject.Hex {
			return s, nil
		}
	}
	return Statement{}, reject(CodeOtherImage, "it is about another image: %s", subjects(s))
}

func subjects(s Statement) string {
	for _, r := range s.Subject {
		for algorithm, hex := range r.Digest {
			return clip(algorithm + ":" + hex)
		}
	}
	return "no subject at all"
}

// clip shortens foreign text and takes the control characters out of it before
// it goes into a message.
func clip(s string) string {
	const most = 100
	if len(s) > most {
		s = s[:most] + "..."
	}
	quoted := strconv.Quote(s)
	return quoted[1 : len(quoted)-1]
}
