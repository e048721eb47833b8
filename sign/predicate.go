package sign

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// shortPredicateTypes are the short names of predicate types, as requirements use
// them.
var shortPredicateTypes = map[string]string{
	"spdx":       PredicateSPDX,
	"cyclonedx":  PredicateCycloneDX,
	"provenance": PredicateProvenance,
	"vulns":      PredicateVulns,
	"openvex":    PredicateOpenVEX,
	"tests":      PredicateTestResult,
	"vsa":        PredicateVSA,
}

// PredicateType turns a short name (spdx, cyclonedx, provenance, vulns,
// openvex, tests, vsa) or a URI into a predicate type. That of signatures is
// refused: no claim about an image may pass for its signature.
func PredicateType(name string) (string, error) {
	if uri, ok := shortPredicateTypes[name]; ok {
		return uri, nil
	}
	scheme, rest, ok := strings.Cut(name, "://")
	switch {
	case name == PredicateSignature:
		return "", errors.New("a signature is not an attestation")
	case !ok || rest == "" || (scheme != "https" && scheme != "http"):
		return "", fmt.Errorf("unknown predicate type %q: want spdx, cyclonedx, provenance, vulns, openvex, tests, vsa or an https URI", name)
	case len(name) > maxPredicateType:
		return "", fmt.Errorf("predicate type of %d bytes, at most %d", len(name), maxPredicateType)
	}
	return name, nil
}

// CheckPredicate says whether a document is what its predicate type promises:
// it has the fields that a verifier will look for. It does not say that the
// claim is a good one: failed tests can be attested. Of an unknown type it must
// be a JSON object.
func CheckPredicate(predicateType string, data []byte) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return fmt.Errorf("it is not a JSON object: %w", err)
	}
	if _, whole := fields["_type"]; whole && fields["predicateType"] != nil {
		return errors.New("it is a whole in-toto statement; give the predicate alone")
	}
	statement := []Statement{{Predicate: data}}
	switch predicateType {
	case PredicateSPDX:
		return checkSPDX(data)
	case PredicateCycloneDX:
		return checkCycloneDX(data)
	case PredicateProvenance:
		return checkProvenance(data, "", "")
	case PredicateVulns:
		_, err := newestScan(statement)
		return err
	case PredicateOpenVEX:
		return checkOpenVEX(fields)
	case PredicateTestResult:
		return oneOf(fields, "result", "PASSED", "WARNED", "FAILED")
	case PredicateVSA:
		return oneOf(fields, "verificationResult", "PASSED", "FAILED")
	}
	return nil
}

// checkOpenVEX looks for the namespace that the predicate type repeats.
func checkOpenVEX(fields map[string]json.RawMessage) error {
	var context string
	if err := json.Unmarshal(fields["@context"], &context); err != nil || !strings.HasPrefix(context, "https://openvex.dev/ns") {
		return errors.New("it is not an OpenVEX document: its @context is not https://openvex.dev/ns")
	}
	var statements []json.RawMessage
	if err := json.Unmarshal(fields["statements"], &statements); err != nil || len(statements) == 0 {
		return errors.New("it makes no statement")
	}
	return nil
}

func oneOf(fields map[string]json.RawMessage, field string, want ...string) error {
	var got string
	err := json.Unmarshal(fields[field], &got)
	for _, w := range want {
		if err == nil && got == w {
			return nil
		}
	}
	return fmt.Errorf("its %s is %s, not one of %s", field, clip(string(fields[field])), strings.Join(want, ", "))
}
