package sign

import "fmt"

// Requirement is an attestation that must exist.
type Requirement struct {
	PredicateType string
	// Check, if set, looks at every verified statement of the type, at least
	// one, in no particular order; its error is the reason to refuse.
	Check func([]Statement) error
}

// judgeRequirement holds for an index when the index has the attestation, or
// when it has none of the type and each of its platforms does.
func (r *Report) judgeRequirement(q Requirement) []Refusal {
	code, err := r.meets(q)
	if err == nil {
		return nil
	}
	if len(r.Platforms) == 0 || code == CodeContent {
		return []Refusal{r.refuse(code, "%v", err)}
	}
	var refusals []Refusal
	for i := range r.Platforms {
		p := &r.Platforms[i]
		if code, err := p.meets(q); err != nil {
			refusals = append(refusals, p.refuse(code, "%v", err))
		}
	}
	return refusals
}

func (r *Report) meets(q Requirement) (Code, error) {
	var statements []Statement
	for _, e := range r.Attestations {
		if e.PredicateType == q.PredicateType {
			statements = append(statements, e.Statement)
		}
	}
	if len(statements) == 0 {
		return CodeAttestation, fmt.Errorf("required attestation %s is missing", q.PredicateType)
	}
	if q.Check == nil {
		return "", nil
	}
	if err := q.Check(statements); err != nil {
		return CodeContent, fmt.Errorf("attestation %s: %w", q.PredicateType, err)
	}
	return "", nil
}
