package auditor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hardstand/hardstand/audit/scan"
	"github.com/hardstand/hardstand/audit/scan/external"
	"github.com/hardstand/hardstand/audit/scan/inventory"
	"github.com/hardstand/hardstand/audit/scan/osv"
	"github.com/hardstand/hardstand/audit/scan/reach"
	"github.com/hardstand/hardstand/internal/cli"
)

type scanOptions struct {
	image      v1.Image // the target, where it is open already
	platform   string
	release    string
	allowEmpty bool
	skip       []string

	db       string
	dbSHA256 string
	maxDBAge time.Duration

	failOn     string
	unfixed    bool
	kev, epss  string
	epssLimit  float64
	grace      time.Duration
	vex        []string
	vexMaxAge  time.Duration
	reach      bool
	unstripped []string
	source     string
	imports    []string
	analyser   reach.Analyser

	updates bool
	archive archiveFlags

	format string
	json   bool
	write  []string
	author string
}

func scanCommand(f *cli.Frame, c Companions) *cobra.Command {
	o := &scanOptions{analyser: c.Reach}
	cmd := &cobra.Command{
		Use:   "scan TARGET",
		Short: "Look for known vulnerabilities, offline, and fail closed",
		Long: `List the packages of an image (oci:DIR, docker-archive:FILE, docker:REF, or a
reference), a directory, a Go program, a go.mod file or an SBOM (SPDX or
CycloneDX as JSON), and compare them with an OSV database that is on disk, on a
mirror or in a registry, with the archive's signed index (--updates), or both.

What cannot be judged is never passed over: a database that is missing, stale,
truncated, not the one asked for or silent about an ecosystem, and an inventory
that is empty or not whole, end with exit code 1. Exit code 3 means that all was
judged and the gate said no.`,
		Example: `  hardstand scan oci:static --db osv
  hardstand scan registry.example/app:1 --db osv --kev kev.json --fail-on critical
  hardstand scan ./app --db osv --reach --write openvex=app.vex.json
  hardstand scan sbom.spdx.json --db https://mirror.example/osv --db-sha256 HEX
  hardstand scan oci:static --updates
  hardstand scan --import grype.json --fail-on high`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return runScan(cmd.Context(), f, o, args) },
	}
	o.flags(cmd.Flags())
	cmd.AddCommand(scanIndexCommand(f))
	return cmd
}

func (o *scanOptions) flags(flags *pflag.FlagSet) {
	flags.StringVar(&o.platform, "platform", "", "platform of an image with several, such as linux/arm64 (default: this machine's)")
	flags.StringVar(&o.release, "release", "", "distribution where os-release is missing, such as debian-13")
	flags.BoolVar(&o.allowEmpty, "allow-empty", false, "accept a target without a single package")
	flags.StringSliceVar(&o.skip, "ignore-ecosystem", nil, "do not judge packages of this ecosystem, such as npm; the report says so")
	o.databaseFlags(flags)
	o.gateFlags(flags)
	flags.BoolVar(&o.reach, "reach", false, "find out whether the vulnerable code is in the Go programs that have their symbol table")
	flags.StringArrayVar(&o.unstripped, "unstripped", nil, "`file` of the same Go program with its symbols, analysed in place of the stripped one")
	flags.StringVar(&o.source, "source", "", "source tree of the Go program, analysed for calls; runs the go command there")
	flags.StringArrayVar(&o.imports, "import", nil, "`file` with the JSON of grype, trivy or osv-scanner, judged by the same gate")
	flags.BoolVar(&o.updates, "updates", false, "compare Debian packages with the archive's signed index; any newer version is refused")
	o.archive.flags(flags)
	flags.StringVar(&o.format, "format", "text", "text, json, sarif, openvex, vulns (in-toto predicate) or cosign-vuln (cosign's predicate)")
	flags.BoolVar(&o.json, "json", false, "the same as --format json")
	flags.StringArrayVar(&o.write, "write", nil, "also write `FORMAT=FILE`; may be repeated")
	flags.StringVar(&o.author, "author", "hardstand", "author of the OpenVEX document")
}

func (o *scanOptions) databaseFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.db, "db", "", "OSV database: directory, zip, index, http(s) address, oci://REFERENCE or oci:DIR")
	flags.StringVar(&o.dbSHA256, "db-sha256", "", "digest that the database must have: of the zip, the index, the artefact's manifest, or SHA256SUMS")
	flags.DurationVar(&o.maxDBAge, "max-db-age", 7*24*time.Hour, "how old the newest entry of an ecosystem may be; 0 is any age")
}

func (o *scanOptions) gateFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.failOn, "fail-on", "high", "refuse fixable vulnerabilities of this severity or worse: none, negligible, low, medium, high, critical")
	flags.BoolVar(&o.unfixed, "unfixed", false, "refuse those without a fix, too")
	flags.StringVar(&o.kev, "kev", "", "`file` with CISA's catalogue (JSON); what it lists is refused")
	flags.StringVar(&o.epss, "epss", "", "`file` with EPSS forecasts (CSV or CSV.gz)")
	flags.Float64Var(&o.epssLimit, "epss-limit", 0, "refuse this probability or more, 0 to 1")
	flags.DurationVar(&o.grace, "grace", 0, "how long after a fix appeared --fail-on and --epss-limit let it pass, such as 168h")
	flags.StringArrayVar(&o.vex, "vex", nil, "`file` with OpenVEX statements")
	flags.DurationVar(&o.vexMaxAge, "vex-max-age", 365*24*time.Hour, "how long a statement without an expiry holds; 0 is for ever")
}

// check finds what the flags alone show to be wrong.
func (o *scanOptions) check(args []string) error {
	switch {
	case len(args) == 0 && len(o.imports) == 0:
		return cli.Usagef("nothing to scan: name a target, or --import a result")
	case len(args) == 1 && o.db == "" && !o.updates && len(o.imports) == 0:
		return cli.Usagef("nothing to compare with: give --db, --updates, or both")
	case o.epssLimit < 0 || o.epssLimit > 1:
		return cli.Usagef("--epss-limit is %v: want 0 to 1", o.epssLimit)
	case o.epssLimit > 0 && o.epss == "":
		return cli.Usagef("--epss-limit needs forecasts: give --epss")
	case (len(o.unstripped) > 0 || o.source != "") && !o.reach:
		return cli.Usagef("--unstripped and --source are about --reach: give it, too")
	case o.reach && o.db == "":
		return cli.Usagef("--reach needs a database: give --db")
	case o.dbSHA256 != "" && o.db == "":
		return cli.Usagef("--db-sha256 needs --db")
	}
	if o.json {
		o.format = "json"
	}
	for _, w := range append(slices.Clone(o.write), o.format+"=") {
		format, _, ok := strings.Cut(w, "=")
		if !ok || writers[format] == nil {
			return cli.Usagef("%q: want one of %s, and for --write FORMAT=FILE", w, strings.Join(formats(), ", "))
		}
	}
	_, err := o.gate()
	return err
}

func (o *scanOptions) gate() (scan.Gate, error) {
	g := scan.Gate{Unfixed: o.unfixed, KEV: o.kev != "", EPSS: o.epssLimit, Grace: o.grace, Updates: o.updates}
	if o.failOn == "none" {
		return g, nil
	}
	var err error
	if g.Severity, err = scan.ParseSeverity(o.failOn); err != nil || g.Severity == scan.Unknown {
		return g, cli.Usagef("--fail-on is %q: want none, negligible, low, medium, high or critical", o.failOn)
	}
	return g, nil
}

func runScan(ctx context.Context, f *cli.Frame, o *scanOptions, args []string) error {
	if err := o.check(args); err != nil {
		return err
	}
	target := ""
	if len(args) == 1 {
		target = args[0]
	}
	report, err := o.run(ctx, f, target)
	if err != nil {
		return err
	}
	if err := o.print(f, report); err != nil {
		return err
	}
	if len(report.Problems) > 0 {
		return fmt.Errorf("scan could not judge everything: %s", strings.Join(report.Problems[:min(3, len(report.Problems))], "; "))
	}
	if len(report.Refused) > 0 {
		return &cli.RefusedError{Err: errors.New(strings.Join(report.Refused, "; "))}
	}
	return nil
}

// run makes the report about a target; an empty one is for imports only. What
// could not be judged is a problem in the report, and an error only where
// there is nothing to report.
func (o *scanOptions) run(ctx context.Context, f *cli.Frame, target string) (*scan.Report, error) {
	gate, err := o.gate()
	if err != nil {
		return nil, err
	}
	in := scan.Input{
		Target: target, Tool: "hardstand " + f.Version, Started: f.Now(), VEXMaxAge: o.vexMaxAge, AllowEmpty: o.allowEmpty, Gate: gate,
	}
	if err := o.documents(&in); err != nil {
		return nil, err
	}
	if target != "" {
		if err := o.inventoried(ctx, f, &in); err != nil {
			return nil, err
		}
	}
	if err := o.imported(f, &in); err != nil {
		return nil, err
	}
	in.Now = f.Now()
	r := scan.Assemble(in)
	if target == "" {
		r.Kind = "import"
	}
	return r, nil
}

// documents reads feeds and VEX documents.
func (o *scanOptions) documents(in *scan.Input) error {
	if o.kev != "" {
		data, err := readLimited(o.kev, maxDocument)
		if err != nil {
			return err
		}
		if err := in.Feeds.ReadKEV(data); err != nil {
			return err
		}
	}
	if o.epss != "" {
		data, err := readLimited(o.epss, maxDocument)
		if err != nil {
			return err
		}
		if err := in.Feeds.ReadEPSS(data); err != nil {
			return err
		}
	}
	for _, file := range o.vex {
		data, err := readLimited(file, maxDocument)
		if err != nil {
			return err
		}
		doc, err := scan.ReadVEX(file, data)
		if err != nil {
			return err
		}
		in.VEX = append(in.VEX, doc)
	}
	return nil
}

// maxDocument bounds a feed or a VEX document, in bytes.
const maxDocument = 256 << 20

// inventoried lists the target's packages and compares them.
func (o *scanOptions) inventoried(ctx context.Context, f *cli.Frame, in *scan.Input) error {
	programs, err := newPrograms(o)
	if err != nil {
		return err
	}
	defer programs.remove()
	inv, err := o.list(ctx, f, in.Target, inventory.Options{Release: o.release, Keep: programs.keep})
	if err != nil {
		return err
	}
	in.Inventory = inv
	for _, name := range o.skip {
		in.Notes = append(in.Notes, "packages of "+name+" are not judged, as asked")
	}
	if o.db != "" {
		if err := o.match(ctx, f, in, programs); err != nil {
			in.Problems = append(in.Problems, strings.Split(err.Error(), "\n")...)
		}
	}
	if o.updates {
		offers, err := o.archive.offers(ctx, f, inv)
		if err != nil {
			in.Problems = append(in.Problems, err.Error())
			return nil
		}
		updates, problems := scan.Updates(inv, offers)
		in.Updates, in.Problems = updates, append(in.Problems, problems...)
		for _, s := range offers.Suites {
			in.Compared = append(in.Compared, fmt.Sprintf("%s of %s", s.Name, s.Date.UTC().Format(time.RFC3339)))
		}
	}
	return nil
}

// match asks the database, and the analysis of programs where that is wanted.
func (o *scanOptions) match(ctx context.Context, f *cli.Frame, in *scan.Input, programs *programs) error {
	db, err := o.open(ctx, f)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }() // opened for reading
	findings, databases, entries, err := scan.Match(ctx, in.Inventory, db, o.skip)
	in.Findings, in.Databases = findings, databases
	if err != nil || !o.reach {
		return err
	}
	return programs.analyse(ctx, f, in, entries)
}

// imported adds what other scanners found.
func (o *scanOptions) imported(f *cli.Frame, in *scan.Input) error {
	for _, file := range o.imports {
		data, err := readLimited(file, external.MaxFile)
		if err != nil {
			return err
		}
		res, err := external.Parse(file, data)
		if err != nil {
			return err
		}
		in.Findings = append(in.Findings, res.Findings...)
		if in.Target == "" {
			in.Target = res.Target
		}
		in.Notes = append(in.Notes, fmt.Sprintf("%s: %d findings of %s", file, len(res.Findings), res.Scanner))
		switch age := f.Now().Sub(res.Built); {
		case res.Built.IsZero() && o.maxDBAge > 0 && len(o.db) == 0:
			in.Problems = append(in.Problems, fmt.Sprintf("%s does not say how old the database of %s was: give --max-db-age 0 if you know", file, res.Scanner))
		case !res.Built.IsZero() && o.maxDBAge > 0 && age > o.maxDBAge:
			in.Problems = append(in.Problems, fmt.Sprintf("%s: %v: %s used one of %s", file, osv.ErrStale, res.Scanner, res.Built.Format(time.RFC3339)))
		}
	}
	return nil
}

// readLimited reads a file, or a pipe, of at most limit bytes.
func readLimited(name string, limit int64) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // nothing was written
	if info, err := file.Stat(); err == nil && info.IsDir() {
		return nil, fmt.Errorf("read %s: it is a directory", name)
	}
	data, err := limited(file, limit)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return data, nil
}
