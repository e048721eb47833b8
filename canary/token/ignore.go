package token

import (
	"regexp"
	"slices"
	"strings"
)

// IgnoreFiles returns configuration for common secret scanners, by file name,
// so that the planted files raise no finding: gitleaks (--config), Trivy
// (--secret-config) and TruffleHog (--exclude-paths). They name the decoys:
// keep them beside the register.
func (r Register) IgnoreFiles() map[string][]byte {
	var patterns []string
	for _, t := range r.Tokens {
		for _, p := range t.Paths {
			patterns = append(patterns, regexp.QuoteMeta(strings.TrimPrefix(p, "/"))+"$")
		}
	}
	slices.Sort(patterns)
	var gitleaks, trivy strings.Builder
	gitleaks.WriteString("[extend]\nuseDefault = true\n\n[[allowlists]]\ndescription = \"planted canary tokens\"\npaths = [\n")
	trivy.WriteString("allow-rules:\n")
	for _, p := range patterns {
		gitleaks.WriteString("  '''" + p + "''',\n")
		trivy.WriteString("  - id: canary-" + regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(strings.ToLower(p), "-") + "\n    description: planted canary token\n    path: '" + p + "'\n")
	}
	gitleaks.WriteString("]\n")
	return map[string][]byte{
		"gitleaks.toml":          []byte(gitleaks.String()),
		"trivy-secret.yaml":      []byte(trivy.String()),
		"trufflehog-exclude.txt": []byte(strings.Join(patterns, "\n") + "\n"),
	}
}
