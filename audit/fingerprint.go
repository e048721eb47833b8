package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
	"sync"
)

// lineNumber is how a finding mentions another line.
var lineNumber = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\bline \d+\b`) })

// Fingerprints names findings in a way that survives moving lines, and in an
// image rebuilding a layer: neither the number of a line nor the digest of a
// layer is in the name. Equal findings are told apart by a counter, in the order
// they are asked for.
type Fingerprints map[string]int

// Of returns the name of a finding: 32 hex digits, a colon and a number.
func (p Fingerprints) Of(f Finding) string {
	key := strings.Join([]string{f.Rule, f.Artifact.Name, f.Locator.Path, f.Locator.Pointer, f.Locator.File, f.Locator.Excerpt, lineNumber().ReplaceAllString(f.Observed, "line")}, "\x00")
	sum := sha256.Sum256([]byte(key))
	id := hex.EncodeToString(sum[:16])
	p[id]++
	return fmt.Sprintf("%s:%d", id, p[id])
}
