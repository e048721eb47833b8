package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/hardstand/hardstand/audit"
	"github.com/hardstand/hardstand/internal/deptest"
)

// nasty is what a hostile file puts everywhere: markup, a terminal escape, a
// reversal of the text, quotes, formats' own syntax, an end of line, and bytes
// that are no text.
const nasty = "<script>alert(1)</script>\x1b[31m\u202e\"'`|%0A::error::x\n]]>\x00\xff --> {{.}}"

func sample() audit.Report {
	rules := []audit.Rule{
		{ID: "CHG-2.3a", Title: "Pinned", Severity: audit.High, Since: 1, Kinds: []audit.Kind{audit.Dockerfile}, Why: "w", Fix: "f", Evidence: "e", Aliases: []string{"DL3006"}},
		{ID: "CHG-2.6i", Title: "Non-root", Severity: audit.Low, Since: 2, Kinds: []audit.Kind{audit.Image}, Why: "w", Fix: "f", Evidence: "e"},
	}
	df := audit.Artifact{Kind: audit.Dockerfile, Name: "a/" + nasty, SHA256: strings.Repeat("ab", 32)}
	img := audit.Artifact{Kind: audit.Image, Name: "registry.example:5000/x:1@sha256:" + strings.Repeat("0", 64)}
	until := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	at := audit.Locator{Path: df.Name, StartLine: 3, EndLine: 5, Excerpt: nasty}
	findings := []audit.Finding{
		{Rule: "CHG-2.3a", Verdict: audit.Fail, Artifact: df, Locator: at, Observed: nasty, Expected: nasty, Method: nasty, Fix: nasty},
		{Rule: "CHG-2.3a", Verdict: audit.Fail, Artifact: df, Locator: at, Observed: nasty, Expected: nasty, Method: nasty, Fix: nasty},
		{Rule: "CHG-2.3a", Verdict: audit.Fail, Artifact: df, Observed: "accepted", Waiver: &audit.Waiver{Reason: nasty, Source: nasty, Until: &until}},
		{Rule: "CHG-2.3a", Verdict: audit.Unknown, Artifact: df, Needs: nasty},
		{Rule: "CHG-2.3a", Verdict: audit.NotApplicable, Artifact: df, Reason: nasty},
		{Rule: "CHG-2.6i", Verdict: audit.Fail, Artifact: img, Locator: audit.Locator{Layer: "sha256:abc", File: "/bin/" + nasty, Pointer: "/config/User"}, Observed: "x", Expected: "y", Method: "z"},
		{Rule: "CHG-2.6i", Verdict: audit.Pass, Artifact: img, Observed: nasty},
	}
	return audit.NewReport(audit.Tool{Name: "hardstand", Version: "1"}, 1, time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC), []audit.Artifact{df, img}, rules, findings, []string{nasty})
}

func render(t *testing.T, format string, r audit.Report, o Options) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, format, r, o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestBoundary(t *testing.T) {
	deptest.Check(t, deptest.Allow{
		"github.com/hardstand/hardstand/audit":              "the report",
		"github.com/hardstand/hardstand/audit/codescanning": "how large SARIF may be",
		"maragu.dev/gomponents/...":                         "the HTML page, escaped",
	})
}

// TestNothingDeceives looks into every format for what would act on a
// terminal, and compares two writings.
func TestNothingDeceives(t *testing.T) {
	for _, format := range Formats() {
		out := render(t, format, sample(), Options{All: true})
		if out != render(t, format, sample(), Options{All: true}) {
			t.Errorf("%s: two writings differ", format)
		}
		if format == "json" || format == "sarif" {
			out = strings.ReplaceAll(out, "\u202e", "") // escaping is the reader's: these are data
		}
		for _, r := range out {
			if r != '\n' && (unicode.IsControl(r) || r == '\u202e') {
				t.Errorf("%s contains %U", format, r)
				break
			}
		}
		if format != "json" && format != "text" && format != "github" && format != "codeclimate" && strings.Contains(out, "<script>alert") {
			t.Errorf("%s contains markup of the audited file", format)
		}
	}
}

func TestReportCounts(t *testing.T) {
	r := sample()
	want := map[audit.Verdict]int{audit.Fail: 2, audit.Warn: 1, audit.Pass: 1, audit.Unknown: 1, audit.NotApplicable: 1}
	if diff := cmp.Diff(want, r.Summary); diff != "" {
		t.Error(diff)
	}
	if r.Waived != 1 || r.Broken(audit.Low) != 2 || r.Broken(audit.Critical) != 0 {
		t.Errorf("%d waived, %d broken", r.Waived, r.Broken(audit.Low))
	}
	for _, s := range r.Stages {
		for _, step := range s.Steps {
			if step.Verdict == audit.Unknown && step.Needs == "" {
				t.Errorf("step %s is unknown for nothing", step.Step)
			}
		}
	}
}

// TestJSONKeepsItsSchema validates a report with a validator that is not ours.
func TestJSONKeepsItsSchema(t *testing.T) {
	data, err := os.ReadFile("../../docs/audit-report.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("report.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("report.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []audit.Report{sample(), audit.NewReport(audit.Tool{Name: "hardstand"}, 1, time.Now(), nil, nil, nil, nil)} {
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(render(t, "json", r, Options{})))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(value); err != nil {
			t.Error(err)
		}
	}
	if err := schema.Validate(map[string]any{"tool": 1}); err == nil {
		t.Error("the schema takes anything")
	}
}

// sarifSchema is the schema of OASIS (2.1.0 with errata 01) as the source of
// go-sarif has it. Nothing of it is kept here.
func sarifSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	dir, err := exec.Command("go", "list", "-f", "{{.Dir}}", "github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(strings.TrimSpace(string(dir)), "schema.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var text string
	ast.Inspect(file, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING && len(lit.Value) > len(text) {
			text = lit.Value
		}
		return true
	})
	if text, err = strconv.Unquote(text); err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("sarif.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("sarif.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// TestSARIFKeepsItsSchema validates what is written, and reads it with a
// library that is not ours and knows every property.
func TestSARIFKeepsItsSchema(t *testing.T) {
	schema := sarifSchema(t)
	read := func(data string) error {
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(data))
		if err != nil {
			return err
		}
		dec := json.NewDecoder(strings.NewReader(data))
		dec.DisallowUnknownFields()
		return errors.Join(schema.Validate(value), dec.Decode(&sarif.Report{}))
	}
	for _, r := range []audit.Report{sample(), audit.NewReport(audit.Tool{Name: "hardstand"}, 1, time.Now(), nil, nil, nil, nil)} {
		if err := read(render(t, "sarif", r, Options{})); err != nil {
			t.Error(err)
		}
	}
	good := render(t, "sarif", sample(), Options{})
	for old, wrong := range map[string]string{
		`"name": "hardstand",`: ``, `"level": "error"`: `"level": "bad"`, `"startLine": 3`: `"startLine": 0`, `"ruleIndex"`: `"ruleindx"`, `"kind": "external"`: `"kind": "other"`,
	} {
		if bad := strings.Replace(good, old, wrong, 1); bad == good || read(bad) == nil {
			t.Errorf("a log with %q for %q is taken", wrong, old)
		}
	}
}

// TestSARIF checks what GitHub requires of SARIF 2.1.0.
func TestSARIF(t *testing.T) {
	var log sarifLog
	dec := json.NewDecoder(strings.NewReader(render(t, "sarif", sample(), Options{})))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&log); err != nil {
		t.Fatal(err)
	}
	if log.Version != "2.1.0" || len(log.Runs) != 1 || !strings.HasSuffix(log.Schema, "sarif-2.1.0.json") {
		t.Fatalf("version %s, %d runs", log.Version, len(log.Runs))
	}
	run := log.Runs[0]
	if len(run.Results) != 4 {
		t.Errorf("%d results, want failures and warnings, accepted ones too", len(run.Results))
	}
	prints := map[string]bool{}
	for _, r := range run.Results {
		if r.RuleIndex < 0 || r.RuleIndex >= len(run.Tool.Driver.Rules) || run.Tool.Driver.Rules[r.RuleIndex].ID != r.RuleID {
			t.Errorf("rule %s is not at %d", r.RuleID, r.RuleIndex)
		}
		if len(r.Locations) != 1 || r.Message.Text == "" || r.Level != "error" && r.Level != "warning" {
			t.Errorf("result %+v", r)
		}
		p := r.Locations[0].Physical
		if u, err := url.Parse(p.Artifact.URI); err != nil || u.Scheme != "" || strings.HasPrefix(p.Artifact.URI, "/") {
			t.Errorf("%q is no relative URI: %v", p.Artifact.URI, err)
		}
		if p.Region.StartLine < 1 || p.Region.EndLine != 0 && p.Region.EndLine < p.Region.StartLine {
			t.Errorf("region %+v", p.Region)
		}
		print := r.PartialFingerprints["primaryLocationLineHash"]
		if print == "" || prints[print] {
			t.Errorf("fingerprint %q", print)
		}
		prints[print] = true
	}
	for _, r := range run.Tool.Driver.Rules {
		if r.Properties["security-severity"] == "" || r.Help.Text == "" || r.Help.Markdown == "" || r.ShortDescription.Text == "" || !strings.HasPrefix(r.HelpURI, "https://") {
			t.Errorf("rule %+v", r)
		}
	}
	if _, err := time.Parse("2006-01-02T15:04:05.000Z", run.Invocations[0].EndTimeUTC); err != nil {
		t.Error(err)
	}
}

func TestXMLIsWellFormed(t *testing.T) {
	for _, format := range []string{"junit", "checkstyle"} {
		dec := xml.NewDecoder(strings.NewReader(render(t, format, sample(), Options{})))
		elements := 0
		for {
			tok, err := dec.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", format, err)
			}
			if _, ok := tok.(xml.StartElement); ok {
				elements++
			}
		}
		if elements < 5 {
			t.Errorf("%s has %d elements", format, elements)
		}
	}
}

func TestAnnotationsAreOneLineEach(t *testing.T) {
	lines := strings.Split(strings.TrimSpace(render(t, "github", sample(), Options{})), "\n")
	if len(lines) != 3 {
		t.Errorf("%d annotations, want 3", len(lines))
	}
	for _, l := range lines {
		if !strings.HasPrefix(l, "::error ") && !strings.HasPrefix(l, "::warning ") {
			t.Errorf("%q is no annotation", l)
		}
	}
}

func TestColour(t *testing.T) {
	if out := render(t, "text", sample(), Options{Color: true}); !strings.Contains(out, "\x1b[31mfail") {
		t.Error("no colour")
	}
	if out := render(t, "text", sample(), Options{}); strings.Contains(out, "\x1b") {
		t.Error("colour although none was asked for")
	}
}

// A report as JSON says what it saw, but neither deceives a reader nor
// commands a runner that prints it.
func TestJSONIsHarmless(t *testing.T) {
	seen := "a\u202eb ##[add-mask]c"
	r := audit.NewReport(audit.Tool{}, 1, time.Now(), nil, nil, []audit.Finding{{Rule: "CHG-2.6a", Verdict: audit.Fail, Observed: seen}}, nil)
	var b bytes.Buffer
	if err := Write(&b, "json", r, Options{}); err != nil {
		t.Fatal(err)
	}
	if text := b.String(); strings.Contains(text, "\u202e") || strings.Contains(text, "##[") {
		t.Errorf("printed %s", text)
	}
	var back audit.Report
	if err := json.Unmarshal(b.Bytes(), &back); err != nil || back.Findings[0].Observed != seen {
		t.Errorf("%v, %+v", err, back.Findings)
	}
}
