package runtime

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/hardstand/hardstand/audit"
	"github.com/hardstand/hardstand/audit/workload"
	"github.com/hardstand/hardstand/audit/workload/compose/composefile"
)

// fields are those of engine 0.57.0 and the container plugin that the rules
// may use. https://falco.org/docs/reference/rules/supported-fields/
var fields = map[string]bool{
	"evt.type": true, "evt.is_open_read": true, "fd.num": true, "fd.name": true, "fd.type": true, "fd.snet": true, "fd.sport": true,
	"proc.exepath": true, "proc.is_exe_upper_layer": true, "proc.cmdline": true, "proc.pname": true, "user.uid": true,
	"container.id": true, "container.name": true, "container.image.repository": true,
}

var (
	falcoToken = regexp.MustCompile(`"[^"]*"|[()=,]|>=|!=|[A-Za-z0-9_./:-]+`)
	falcoField = regexp.MustCompile(`^[a-z]+\.[a-z_.]+$`)
)

// condition parses a condition of Falco: comparisons joined by and, or, not
// and parentheses. It returns the tokens that are left.
type condition struct {
	t      *testing.T
	tokens []string
	used   map[string]bool
}

func (c *condition) next() string {
	if len(c.tokens) == 0 {
		c.t.Fatal("the condition ends too early")
	}
	tok := c.tokens[0]
	c.tokens = c.tokens[1:]
	return tok
}

func (c *condition) expr() {
	c.term()
	for len(c.tokens) > 0 && (c.tokens[0] == "and" || c.tokens[0] == "or") {
		c.next()
		c.term()
	}
}

func (c *condition) term() {
	switch tok := c.next(); {
	case tok == "not":
		c.term()
	case tok == "(":
		c.expr()
		if close := c.next(); close != ")" {
			c.t.Fatalf("%q in place of a closing parenthesis", close)
		}
	case falcoField.MatchString(tok):
		c.used[tok] = true
		c.compare(tok)
	default:
		c.t.Fatalf("%q is neither a field nor a group; there are no macros", tok)
	}
}

func (c *condition) compare(field string) {
	switch op := c.next(); op {
	case "=", ">=", "!=":
		if v := c.next(); strings.ContainsAny(v, "(),=") {
			c.t.Fatalf("%s is compared with %q", field, v)
		}
	case "in":
		if open := c.next(); open != "(" {
			c.t.Fatalf("%s in %q", field, open)
		}
		for {
			if v := c.next(); strings.ContainsAny(v, "(),=") {
				c.t.Fatalf("%q in the list of %s", v, field)
			}
			if sep := c.next(); sep == ")" {
				return
			} else if sep != "," {
				c.t.Fatalf("%q in the list of %s", sep, field)
			}
		}
	default:
		c.t.Fatalf("%s %q", field, op)
	}
}

// TestFalcoRules reads the rules back: their form, the grammar of their
// conditions, and that only known fields stand in them.
func TestFalcoRules(t *testing.T) {
	p := profile()
	p.Egress = []string{"10.0.0.0/8:5432"}
	data, err := Falco(p)
	if err != nil {
		t.Fatal(err)
	}
	var list []struct {
		Engine                                  string                           `yaml:"required_engine_version"`
		Plugins                                 []struct{ Name, Version string } `yaml:"required_plugin_versions"`
		Rule, Desc, Condition, Output, Priority string
		Tags                                    []string
	}
	dec := yaml.NewDecoder(strings.NewReader(string(data)))
	dec.KnownFields(true)
	if err := dec.Decode(&list); err != nil {
		t.Fatalf("%v\n%s", err, data)
	}
	if list[0].Engine != "0.57.0" || list[1].Plugins[0].Name != "container" {
		t.Errorf("requirements %+v", list[:2])
	}
	names := map[string]bool{}
	for _, r := range list[2:] {
		if r.Rule == "" || names[r.Rule] || r.Desc == "" || r.Output == "" || len(r.Tags) == 0 {
			t.Errorf("not whole, or twice: %+v", r)
		}
		names[r.Rule] = true
		if !slices.Contains([]string{"EMERGENCY", "ALERT", "CRITICAL", "ERROR", "WARNING", "NOTICE", "INFORMATIONAL", "DEBUG"}, r.Priority) {
			t.Errorf("%s: priority %s", r.Rule, r.Priority)
		}
		used := map[string]bool{}
		c := &condition{t: t, tokens: falcoToken.FindAllString(r.Condition, -1), used: used}
		if joined := strings.Join(c.tokens, ""); joined != strings.Join(strings.Fields(r.Condition), "") {
			t.Errorf("%s: characters that no token has: %s", r.Rule, r.Condition)
		}
		c.expr()
		if len(c.tokens) > 0 {
			t.Errorf("%s: left over: %q", r.Rule, c.tokens)
		}
		for _, f := range regexp.MustCompile(`%([a-z._]+)`).FindAllStringSubmatch(r.Output, -1) {
			used[f[1]] = true
		}
		for f := range used {
			if !fields[f] {
				t.Errorf("%s: %s is no field that is known", r.Rule, f)
			}
		}
		// The engine refuses to be asked about every event, and a rule must hold
		// for one image only.
		if !strings.HasPrefix(r.Condition, "evt.type") || !strings.Contains(r.Condition, `container.image.repository = "registry.example/web"`) {
			t.Errorf("%s: %s", r.Rule, r.Condition)
		}
	}
	want := []string{"web canary token", "web decoy", "web program from outside the image", "web unexpected connection", "web unexpected program"}
	if got := slices.Sorted(maps.Keys(names)); !slices.Equal(got, want) {
		t.Errorf("rules %q, want %q", got, want)
	}
}

func TestFalcoRulesAreSeenByTheAudit(t *testing.T) {
	data, err := Falco(profile())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"/usr/bin/wget"`, `"/root/.aws/credentials"`} {
		if !strings.Contains(string(data), want) {
			t.Errorf("no %s in\n%s", want, data)
		}
	}
	manifest := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: falco-rules}\ndata:\n  rules.yaml: |\n    " + strings.ReplaceAll(string(data), "\n", "\n    ")
	res, err := workload.Audit(t.Context(), workload.Input{Name: "x", Kind: audit.Kubernetes, Data: []byte(manifest)}, workload.Options{Compose: composefile.Read})
	if err != nil {
		t.Fatal(err)
	}
	passed := false
	for _, f := range res.Findings {
		passed = passed || f.Rule == "CHG-3.2q" && f.Verdict == audit.Pass && strings.Contains(f.Observed, "4 rules")
	}
	if !passed {
		t.Errorf("the audit does not see four rules: %+v", res.Findings)
	}
}
