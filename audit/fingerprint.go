package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// Fingerprints names findings in a way that survives moving lines. Equal
// findings are told apart by a counter, in the order they are asked for.
type Fingerprints map[string]int

// Of returns the name of a finding: 32 hex digits, a colon and a number.
func (p Fingerprints) Of(f Finding) string {
	key := strings.Join([]string{f.Rule, f.Artifact.Name, f.Locator.Path, f.Locator.Pointer, f.Locator.Layer, f.Locator.File, f.Locator.Excerpt, f.Observed}, "\x00")
	sum := sha256.Sum256([]byte(key))
	id := hex.EncodeToString(sum[:16])
	p[id]++
	return fmt.Sprintf("%s:%d", id, p[id])
}
