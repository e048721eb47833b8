package settings

import (
	"bufio"
	"bytes"
	"fmt"
	"strings"

	"github.com/hardstand/hardstand/audit"
)

// hadolint is what we read of .hadolint.yaml; other keys are passed over.
type hadolint struct {
	Ignored   []string            `yaml:"ignored"`
	Override  map[string][]string `yaml:"override"`
	Threshold string              `yaml:"failure-threshold"`
	Trusted   []string            `yaml:"trustedRegistries"`
	NoPragma  bool                `yaml:"disable-ignore-pragma"`
	NoFail    bool                `yaml:"no-fail"`
}

// hadolintSeverity maps hadolint's levels to ours.
var hadolintSeverity = map[string]audit.Severity{"error": audit.High, "warning": audit.Medium, "info": audit.Low, "style": audit.Low}

// Hadolint reads .hadolint.yaml.
func Hadolint(name string, data []byte) (Settings, error) {
	var h hadolint
	if err := decode(data, &h, false); err != nil {
		return Settings{}, fmt.Errorf("read settings %s: %w", name, err)
	}
	return h.settings(name), nil
}

func (h hadolint) settings(source string) Settings {
	s := Settings{Trusted: h.Trusted, NoPragmas: h.NoPragma}
	if len(h.Ignored) > 0 {
		s.Ignore = []Ignore{{IDs: h.Ignored, Reason: "ignored for hadolint, which takes no reason", Source: source}}
	}
	for level, ids := range h.Override {
		for _, id := range ids {
			if s.Severity == nil {
				s.Severity = map[string]audit.Severity{}
			}
			if sev := hadolintSeverity[level]; sev != "" {
				s.Severity[id] = sev
			}
		}
	}
	switch h.Threshold {
	case "error", "warning", "info", "style":
		s.FailOn = string(hadolintSeverity[h.Threshold])
	case "ignore", "none":
		s.FailOn = "never"
	}
	if h.NoFail {
		s.FailOn = "never"
	}
	s.FailOnBy = source
	return s
}

// Environment reads hadolint's variables.
func Environment(getenv func(string) string) Settings {
	words := func(name string) []string {
		return strings.FieldsFunc(getenv(name), func(r rune) bool { return r == ',' || r == ' ' })
	}
	on := func(name string) bool {
		switch strings.ToLower(getenv(name)) {
		case "1", "y", "yes", "on", "true":
			return true
		}
		return false
	}
	h := hadolint{
		Ignored: words("HADOLINT_IGNORE"), Threshold: getenv("HADOLINT_FAILURE_THRESHOLD"), Trusted: words("HADOLINT_TRUSTED_REGISTRIES"),
		NoPragma: on("HADOLINT_DISABLE_IGNORE_PRAGMA"), NoFail: on("HADOLINT_NOFAIL"), Override: map[string][]string{},
	}
	for _, level := range []string{"error", "warning", "info", "style"} {
		h.Override[level] = words("HADOLINT_OVERRIDE_" + strings.ToUpper(level))
	}
	return h.settings("HADOLINT_IGNORE")
}

// maxIgnored bounds the ids of an ignore list.
const maxIgnored = 10_000

// IgnoreList reads .trivyignore and .dockleignore: one id a line, behind which
// trivy takes "exp:2027-01-01".
func IgnoreList(name string, data []byte) (Settings, error) {
	if len(data) > MaxSize {
		return Settings{}, fmt.Errorf("read settings %s: the file has more than %d bytes", name, MaxSize)
	}
	var s Settings
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, MaxSize)
	for n := 1; lines.Scan(); n++ {
		text, _, _ := strings.Cut(lines.Text(), "#")
		fields := strings.Fields(text)
		if len(fields) == 0 {
			continue
		}
		if len(s.Ignore) >= maxIgnored {
			return Settings{}, fmt.Errorf("read settings %s: more than %d ids", name, maxIgnored)
		}
		ig := Ignore{IDs: fields[:1], Reason: "in " + name + ", which takes no reason", Source: fmt.Sprintf("%s:%d", name, n)}
		for _, f := range fields[1:] {
			if day, ok := strings.CutPrefix(f, "exp:"); ok {
				until, err := audit.ParseDay(day)
				if err != nil {
					return Settings{}, fmt.Errorf("read settings %s:%d: %w", name, n, err)
				}
				ig.Until = &until
			}
		}
		s.Ignore = append(s.Ignore, ig)
	}
	return s, lines.Err()
}
