package dockerfile

import (
	"path"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"

	"github.com/hardstand/hardstand/audit"
)

var rule24a = rule{audit.Rule{
	ID: "CHG-2.4a", Title: "The context has a .dockerignore", Severity: audit.Medium, Since: 1, Kinds: []audit.Kind{audit.Context},
	Why:      "Without it everything beside the Dockerfile is sent to the builder: history, settings, keys.",
	Fix:      "Write a .dockerignore that denies everything and lets through what COPY names; hardstand audit --fix shows one.",
	Evidence: "path of the ignore file",
}, func(c *check) {
	if c.context == nil {
		c.notApplicableContext()
		return
	}
	c.method = "looked for .dockerignore and <Dockerfile>.dockerignore in the context"
	c.held = c.context.ignoreFile
	if c.context.ignoreFile != "" {
		return
	}
	// A build that takes nothing from its context leaks nothing through it.
	if len(c.wanted()) == 0 && !c.incomplete() {
		c.add(audit.Finding{Verdict: audit.NotApplicable, Artifact: c.context.artifact, Reason: "no instruction takes anything from the context"})
		return
	}
	c.add(audit.Finding{
		Verdict: audit.Fail, Artifact: c.context.artifact, Observed: "no .dockerignore", Expected: "a .dockerignore", Fix: "Write this .dockerignore:\n" + c.denyByDefault(),
	})
}}

// wanted lists the sources in the context that the build takes.
func (c *check) wanted() []string {
	seen := map[string]bool{}
	var out []string
	c.each(func(in *instr) {
		sources := localSources(in)
		if run, ok := in.cmd.(*instructions.RunCommand); ok {
			for _, m := range instructions.GetMounts(run) {
				if m != nil && m.Type == instructions.MountTypeBind && m.From == "" {
					sources = append(sources, m.Source)
				}
			}
		}
		for _, src := range sources {
			p := strings.TrimPrefix(path.Clean("/"+c.expand(src, environment(in.stage.env))), "/")
			if !seen[p] {
				seen[p] = true
				out = append(out, p)
			}
		}
	})
	return out
}

// denyByDefault writes an ignore file from the sources that the Dockerfile
// really copies. A copy of everything is replaced by what lies in the context
// and is not valuable.
func (c *check) denyByDefault() string {
	var b strings.Builder
	b.WriteString("*\n")
	whole := false
	for _, p := range c.wanted() {
		if p == "" || strings.HasPrefix(p, "$") {
			whole = true
			continue
		}
		b.WriteString("!" + p + "\n")
	}
	if whole {
		for _, top := range c.context.topLevel() {
			b.WriteString("!" + top + "\n")
		}
	}
	for _, p := range []string{"**/.git", "**/.env*", "**/*.pem", "**/*.key", "**/id_*", "**/.aws", "**/.docker", "**/.kube", "**/.npmrc", "**/.netrc", "**/*.tfstate*"} {
		b.WriteString(p + "\n")
	}
	return b.String()
}

// maxTop bounds the entries of a proposed ignore file.
const maxTop = 100

// topLevel lists what lies at the top of the context and is sent.
func (bc *buildContext) topLevel() []string {
	var out []string
	seen := map[string]bool{}
	for _, f := range bc.files {
		top, _, _ := strings.Cut(f, "/")
		if !seen[top] && !strings.HasPrefix(top, ".") && valuableFile(top) == "" && len(out) < maxTop {
			seen[top] = true
			out = append(out, top)
		}
	}
	return out
}
