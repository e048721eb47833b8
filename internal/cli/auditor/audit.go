package auditor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hardstand/hardstand/audit"
	"github.com/hardstand/hardstand/audit/catalog"
	"github.com/hardstand/hardstand/audit/report"
	"github.com/hardstand/hardstand/audit/settings"
	"github.com/hardstand/hardstand/audit/workload/compose"
	"github.com/hardstand/hardstand/internal/cli"
)

type auditOptions struct {
	kind          string
	target        string
	buildContext  string
	noContext     bool
	buildArgs     []string
	format        string
	reports       []string
	all           bool
	failOn        string
	ruleSet       int
	config        string
	noConfig      bool
	baseline      string
	writeBaseline string
	trusted       []string
	ignore        []string
	fix           fixOptions
	scan          scanOptions
	image         imageOptions
	readCompose   compose.Reader

	// scheduled says that a workflow of the repository builds images by a
	// schedule.
	scheduled bool

	// settings are what the files say, with the flags on top.
	settings settings.Settings
}

func auditCommand(f *cli.Frame, c Companions) *cobra.Command {
	o := &auditOptions{readCompose: c.Compose, scan: scanOptions{analyser: c.Reach}}
	cmd := &cobra.Command{
		Use:   "audit TARGET...",
		Short: "Check against the container hardening guide, with evidence and fixes",
		Long: `Check what you have against the 21 steps of the container hardening guide: a
Dockerfile with its context, an image, a workload file, or a whole repository.
Each answer is pass, fail, warn, not applicable or unknown; what was not looked
at is unknown and never pass. A target is a file, a directory, "-" for standard
input with --kind, oci:DIR, docker-archive:FILE, docker:REF, or a reference in a
registry.

The exit code is 3 when a rule failed, by --fail-on. A finding is accepted by a
comment before the line (# hardstand ignore=CHG-2.6a reason="..." until=2027-01-01),
by .hardstand.yaml, or by a baseline; the comments and files of hadolint, trivy,
dockle and BuildKit count too.`,
		Example: `  hardstand audit Dockerfile
  hardstand audit .
  hardstand audit . --report sarif:audit.sarif --report html:audit.html
  hardstand audit Dockerfile --fix --resolve
  hardstand audit . --write-baseline .hardstand-baseline.json
  hardstand audit . --baseline .hardstand-baseline.json --fail-on high
  hardstand audit sbom.spdx.json --kind inventory --db osv`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return runAudit(cmd.Context(), f, o, args) },
	}
	o.flags(cmd)
	return cmd
}

func (o *auditOptions) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&o.kind, "kind", "", "what the targets are, where it cannot be told: dockerfile, workflow, image, docker, compose, kubernetes, ecs, inventory (SBOM, Go program, go.mod)")
	flags.StringVar(&o.target, "target", "", "`stage` of Dockerfiles to judge (default: the last)")
	flags.StringVar(&o.buildContext, "context", "", "build context of Dockerfiles (default: the directory in which their sources lie)")
	flags.BoolVar(&o.noContext, "no-context", false, "judge Dockerfiles without their context")
	flags.StringArrayVar(&o.buildArgs, "build-arg", nil, "build argument as `NAME=VALUE`, as for docker build")
	flags.StringVar(&o.format, "format", "text", "what to print: "+strings.Join(report.Formats(), ", "))
	flags.StringArrayVar(&o.reports, "report", nil, "also write `FORMAT:FILE`, for example sarif:audit.sarif")
	flags.BoolVar(&o.all, "all", false, "also show what passed, what does not apply and what was accepted")
	flags.StringVar(&o.failOn, "fail-on", "", "exit with 3 from this severity on: low, medium, high, critical; or warn, unknown, never (default low)")
	flags.IntVar(&o.ruleSet, "rules", 0, fmt.Sprintf("rule set `VERSION`: newer rules only warn (default: %d, the newest)", audit.RuleSet))
	flags.StringVar(&o.config, "config", "", "settings `file` (default: .hardstand.yaml and .hadolint.yaml beside the target or in the working directory)")
	flags.BoolVar(&o.noConfig, "no-config", false, "read no settings files and no HADOLINT_ variables")
	flags.StringVar(&o.baseline, "baseline", "", "accept the findings that this `file` lists")
	flags.StringVar(&o.writeBaseline, "write-baseline", "", "write the findings that stand to `file`, and exit with 0")
	flags.StringSliceVar(&o.trusted, "trusted", nil, "registries or repositories that images may come from")
	flags.StringSliceVar(&o.ignore, "ignore", nil, "rules to leave out, by any of their ids")
	o.fix.flags(flags)
	o.scan.auditFlags(flags)
	o.image.flags(flags)
}

func runAudit(ctx context.Context, f *cli.Frame, o *auditOptions, args []string) error {
	if err := o.check(f, args); err != nil {
		return err
	}
	var all verdicts
	var failures []error
	for _, arg := range args {
		v, err := o.judge(ctx, f, arg)
		if err != nil {
			if ctx.Err() != nil {
				return err
			}
			failures = append(failures, fmt.Errorf("audit %s: %w", arg, err))
		}
		all.add(v)
	}
	if len(failures) == len(args) && len(all.findings) == 0 {
		return errors.Join(failures...)
	}
	rules := catalog.Rules()
	all.notes = append(all.notes, o.settings.Apply(all.findings, rules, f.Now())...)
	if s := o.settings; o.failOn == "" && s.FailOn != "" {
		all.notes = append(all.notes, fmt.Sprintf("%s: the threshold is %s", s.FailOnBy, s.FailOn))
	}
	audit.SortFindings(all.findings)
	if err := o.applyBaseline(&all); err != nil {
		return err
	}
	r := audit.NewReport(audit.Tool{Name: "hardstand", Version: f.Version}, o.rules(), f.Now(), all.artifacts, rules, all.findings, all.notes)
	if err := o.write(f, r); err != nil {
		return err
	}
	if len(failures) > 0 {
		return errors.Join(failures...)
	}
	return o.verdict(r)
}

// check looks at the flags and reads the settings.
func (o *auditOptions) check(f *cli.Frame, args []string) error {
	if !slices.Contains(report.Formats(), o.format) {
		return cli.Usagef("--format %s: take one of %s", o.format, strings.Join(report.Formats(), ", "))
	}
	for _, r := range o.reports {
		format, file, ok := strings.Cut(r, ":")
		if !ok || file == "" || !slices.Contains(report.Formats(), format) {
			return cli.Usagef("--report %s: write FORMAT:FILE with one of %s", r, strings.Join(report.Formats(), ", "))
		}
	}
	if o.ruleSet < 0 || o.ruleSet > audit.RuleSet {
		return cli.Usagef("--rules %d: the newest rule set is %d", o.ruleSet, audit.RuleSet)
	}
	if o.kind != "" && !slices.Contains(audit.Kinds, audit.Kind(o.kind)) {
		return cli.Usagef("--kind %s is no kind of artefact", o.kind)
	}
	if o.buildContext != "" && o.noContext {
		return cli.Usagef("--context and --no-context exclude each other")
	}
	if o.baseline != "" && o.writeBaseline != "" {
		return cli.Usagef("--baseline and --write-baseline exclude each other")
	}
	if err := o.readSettings(f, args); err != nil {
		return err
	}
	if !validFailOn(o.failOnValue()) {
		return cli.Usagef("--fail-on %s: take low, medium, high, critical, warn, unknown or never", o.failOnValue())
	}
	return nil
}

func validFailOn(v string) bool {
	return v == "warn" || v == "unknown" || v == "never" || audit.Severity(v).Rank() > 0
}

// failOnValue is the threshold: the flag, else the settings, else low.
func (o *auditOptions) failOnValue() string {
	switch {
	case o.failOn != "":
		return o.failOn
	case o.settings.FailOn != "":
		return o.settings.FailOn
	}
	return string(audit.Low)
}

func (o *auditOptions) rules() int {
	switch {
	case o.ruleSet != 0:
		return o.ruleSet
	case o.settings.RuleSet != 0:
		return o.settings.RuleSet
	}
	return audit.RuleSet
}

// judge audits one argument.
func (o *auditOptions) judge(ctx context.Context, f *cli.Frame, arg string) (verdicts, error) {
	t, err := o.locate(f, arg)
	if err != nil {
		return verdicts{}, err
	}
	if t.kind == "" {
		return o.judgeTree(ctx, f, t)
	}
	return o.judgeTarget(ctx, f, t)
}

func (o *auditOptions) judgeTarget(ctx context.Context, f *cli.Frame, t target) (verdicts, error) {
	judge, ok := auditors()[t.kind]
	if !ok {
		return verdicts{}, fmt.Errorf("nothing audits %s", t.kind.Label())
	}
	if t.kind != audit.Image {
		return judge(ctx, f, o, t)
	}
	// Opened once for both: a daemon would save the image twice, a registry be
	// asked twice and perhaps answer differently.
	img, err := openPinned(ctx, f, t.arg, o.image.platform)
	if err != nil {
		return verdicts{}, err
	}
	defer img.done()
	t.image, t.digest = img.image, img.digest
	v, err := judge(ctx, f, o, t)
	if err != nil {
		return v, err
	}
	packages, err := auditPackages(ctx, f, o, t)
	v.add(packages)
	return v, err
}

// verdict turns a report into the command's answer.
func (o *auditOptions) verdict(r audit.Report) error {
	if o.writeBaseline != "" {
		return nil
	}
	level := o.failOnValue()
	n := r.Broken(audit.Severity(level))
	switch level {
	case "never":
		return nil
	case "warn", "unknown":
		n = r.Broken("") + r.Summary[audit.Warn]
		if level == "unknown" {
			n += r.Summary[audit.Unknown]
		}
	}
	if n == 0 {
		return nil
	}
	return &cli.RefusedError{Err: fmt.Errorf("%d findings at or above %q", n, level)}
}
