package dockerfile

import (
	"context"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/hardstand/hardstand/audit"
)

// Input is one Dockerfile and what surrounds it.
type Input struct {
	Name string // path as the user knows it
	Data []byte
	// Context is the build context; nil where there is none to look at. Rules
	// about it are then unknown.
	Context fs.FS
	// ContextName is the context's path for reports.
	ContextName string
	// IgnoreFile is where the ignore file would be in Context besides
	// .dockerignore: "<Dockerfile>.dockerignore", or "".
	IgnoreFile string
}

// Options say what is built and whom is trusted.
type Options struct {
	Target  string            // stage to build; "" is the last
	Args    map[string]string // build arguments
	Trusted []string          // registries or repositories that images may come from; empty: not restricted
	Minimal []string          // further images that are known to have no shell
	// Verify checks the signature of an image reference and returns what was
	// verified. Nil: signatures are unknown.
	Verify func(ctx context.Context, reference string) (string, error)
	// Strict labels of hadolint, name to type, that must be present.
	Labels map[string]string
	// Pragmas of other linters are honoured unless NoPragmas is set.
	NoPragmas bool
	Now       time.Time
}

// Result is what Audit found.
type Result struct {
	Artifacts []audit.Artifact
	Findings  []audit.Finding
	Notes     []string
}

// rule is a description with its check.
type rule struct {
	audit.Rule
	check func(*check)
}

// check is one run of one rule.
type check struct {
	*file
	ctx      context.Context
	opts     Options
	context  *buildContext // nil without a context
	rule     audit.Rule
	findings []audit.Finding
	unread   map[*instr]string // RUNs the rule asked about that are in no shell we read
	held     string            // what was seen when nothing is broken
	method   string
}

// rules lists every rule of the package.
func rules() []rule {
	return []rule{
		rule11a, rule11b, rule11c, rule11d, rule11e, rule11f, rule11g, rule11h, rule11i, rule11j, rule11k, rule11l, rule11m,
		rule11n, rule11o, rule11p, rule11q, rule11r, rule11s, rule11t, rule11u, rule11v, rule11w, rule11x, rule11y, rule11z,
		rule21a,
		rule22a, rule22b,
		rule23a, rule23b, rule23c, rule23d, rule23e, rule23g,
		rule24a, rule24b, rule24c, rule24d, rule24e,
		rule25a, rule25b, rule25c,
		rule26a, rule26b, rule26c,
		rule28a, rule28b, rule28c, rule28d, rule28e, rule28f, rule28g, rule28h,
		rule35a,
	}
}

// Rules describes the rules of the package.
func Rules() []audit.Rule {
	var list []audit.Rule
	for _, r := range rules() {
		list = append(list, r.Rule)
	}
	return list
}

// Audit judges a Dockerfile and its context. The error says that it could not
// be judged at all.
func Audit(ctx context.Context, in Input, o Options) (Result, error) {
	if len(in.Data) > MaxSize {
		return Result{}, ErrTooLarge
	}
	f := parse(audit.Artifact{Kind: audit.Dockerfile, Name: in.Name}, in.Data, o.Target, o.Args)
	res := Result{Artifacts: []audit.Artifact{f.artifact}}
	var bc *buildContext
	if in.Context != nil {
		var err error
		if bc, err = walkContext(in); err != nil {
			return Result{}, fmt.Errorf("read build context: %w", err)
		}
		res.Artifacts = append(res.Artifacts, bc.artifact)
		res.Notes = append(res.Notes, bc.notes...)
	}
	for _, r := range rules() {
		if err := ctx.Err(); err != nil {
			return Result{}, err
		}
		c := &check{file: f, ctx: ctx, opts: o, context: bc, rule: r.Rule}
		r.check(c)
		res.Findings = append(res.Findings, c.done()...)
	}
	res.Notes = append(res.Notes, f.waive(res.Findings, o)...)
	audit.SortFindings(res.Findings)
	return res, nil
}

// done closes a check: what nobody found broken has passed, unless part of
// the file could not be read.
func (c *check) done() []audit.Finding {
	if len(c.findings) == 0 {
		c.add(audit.Finding{Verdict: audit.Pass, Artifact: c.subject(), Observed: c.held})
	}
	c.doubt()
	if c.incomplete() && c.rule.ID != "CHG-1.1a" {
		for i := range c.findings {
			if f := &c.findings[i]; f.Verdict == audit.Pass && f.Artifact.Kind == audit.Dockerfile {
				f.Verdict, f.Needs = audit.Unknown, "a Dockerfile that can be read whole; see CHG-1.1a"
			}
		}
	}
	return c.findings
}

// script is file's, and notes what the rule asked about and did not see.
func (c *check) script(in *instr) *script {
	s := c.file.script(in)
	if what := s.unread(); what != "" && in.stage.reachable {
		if c.unread == nil {
			c.unread = map[*instr]string{}
		}
		c.unread[in] = what
	}
	return s
}

// calls is file's, and notes like script.
func (c *check) calls(in *instr) []call { return c.script(in).calls }

// doubt takes back a pass that rests on a RUN nobody read: a rule about
// commands says nothing about PowerShell by finding nothing in it.
func (c *check) doubt() {
	if len(c.unread) == 0 || c.rule.ID == "CHG-1.1z" {
		return
	}
	line, what := 0, ""
	for in, w := range c.unread {
		if line == 0 || in.start < line {
			line, what = in.start, w
		}
	}
	for i := range c.findings {
		if f := &c.findings[i]; f.Verdict == audit.Pass && f.Artifact.Kind == audit.Dockerfile && f.Locator.StartLine == 0 {
			f.Verdict, f.Needs = audit.Unknown, fmt.Sprintf("a person who reads the RUN on line %d, which is %s", line, what)
		}
	}
}

// subject is the artefact that the rule is about.
func (c *check) subject() audit.Artifact {
	if c.context != nil && len(c.rule.Kinds) > 0 && c.rule.Kinds[0] == audit.Context {
		return c.context.artifact
	}
	return c.artifact
}

func (c *check) add(f audit.Finding) {
	f.Rule = c.rule.ID
	if f.Artifact.Kind == "" {
		f.Artifact = c.artifact
	}
	if f.Method == "" {
		f.Method = c.method
	}
	if f.Method == "" {
		f.Method = "instructions read with BuildKit's parser"
	}
	f.Observed, f.Fix = redact(f.Observed), redact(f.Fix)
	c.findings = append(c.findings, f)
}

// spot is a place with what was seen there.
type spot struct {
	in         *instr
	start, end int // where in is nil
	alias      string
	observed   string
	expected   string
	fix        string
	severity   audit.Severity
}

func (c *check) broken(v audit.Verdict, s spot) {
	if s.in != nil {
		s.start, s.end = s.in.start, s.in.end
		if s.in.onbuild {
			s.observed = "behind ONBUILD: " + s.observed
		}
	}
	c.add(audit.Finding{
		Verdict: v, Severity: s.severity, Alias: s.alias, Observed: s.observed, Expected: s.expected, Fix: s.fix,
		Locator: c.locate(s.start, s.end),
	})
}

func (c *check) fail(s spot) { c.broken(audit.Fail, s) }

func (c *check) warn(s spot) { c.broken(audit.Warn, s) }

func (c *check) unknown(needs, observed string) {
	c.add(audit.Finding{Verdict: audit.Unknown, Artifact: c.subject(), Needs: needs, Observed: observed})
}

func (c *check) notApplicable(reason string) {
	c.add(audit.Finding{Verdict: audit.NotApplicable, Artifact: c.subject(), Reason: reason})
}

// absent reports that something is missing, which cannot be known of a file
// that was not read whole.
func (c *check) absent(s spot) {
	if c.incomplete() {
		c.unknown("a Dockerfile that can be read whole; see CHG-1.1a", s.observed)
		return
	}
	c.fail(s)
}

// maxExcerpt bounds the excerpt of a finding, in bytes.
const maxExcerpt = 200

// locate makes a locator with the line itself, without what may be a secret.
func (f *file) locate(start, end int) audit.Locator {
	l := audit.Locator{Path: f.artifact.Name, StartLine: start, EndLine: max(start, end)}
	if start >= 1 && start <= len(f.lines) {
		l.Excerpt = strings.ToValidUTF8(redact(strings.TrimSpace(f.lines[start-1])), "\uFFFD")
		if len(l.Excerpt) > maxExcerpt {
			l.Excerpt = strings.ToValidUTF8(l.Excerpt[:maxExcerpt], "") + "…"
		}
	}
	return l
}
