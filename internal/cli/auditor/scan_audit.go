package auditor

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/hardstand/hardstand/audit"
	"github.com/hardstand/hardstand/audit/scan"
	"github.com/hardstand/hardstand/audit/scan/inventory"
	"github.com/hardstand/hardstand/internal/cli"
)

// auditFlags are the flags by which audit looks for vulnerabilities, step 1.2
// of the guide. The gate is scan's own: fixable and high, or in the catalogue.
func (o *scanOptions) auditFlags(flags *pflag.FlagSet) {
	o.failOn, o.vexMaxAge = "high", 365*24*time.Hour
	o.databaseFlags(flags)
	flags.StringVar(&o.kev, "kev", "", "`file` with CISA's catalogue (JSON); what it lists fails")
	flags.StringArrayVar(&o.vex, "vex", nil, "`file` with OpenVEX statements")
	flags.BoolVar(&o.updates, "updates", false, "compare an image's Debian packages with the archive's signed index")
	flags.StringVar(&o.archive.mirror, "mirror", "", "Debian mirror for --updates (HARDSTAND_MIRROR)")
	flags.StringVar(&o.archive.keyring, "keyring", "", "trust the OpenPGP keys in this `file` instead of Debian's, for --updates")
}

// auditPackages answers step 1.2 for an image or another list of packages.
// Without a database nothing is opened, and the answer is unknown.
func auditPackages(ctx context.Context, f *cli.Frame, o *auditOptions, t target) (verdicts, error) {
	artifact := audit.Artifact{Kind: audit.Image, Name: t.arg}
	if t.kind != audit.Image {
		artifact.Kind = audit.Inventory
	}
	arg := t.arg
	if t.path != "" && t.kind != audit.Image {
		arg = t.path
	}
	if o.scan.db == "" && !o.scan.updates {
		return verdicts{findings: scan.AuditFindings(&scan.Report{Target: arg}, artifact)}, nil
	}
	o.scan.platform, o.scan.image = o.image.platform, t.image
	r, err := o.scan.run(ctx, f, arg)
	if err != nil {
		return verdicts{}, err
	}
	if artifact.Kind == audit.Image {
		artifact.SHA256 = strings.TrimPrefix(r.Digest, "sha256:")
	} else if info, err := os.Stat(arg); err == nil && info.Mode().IsRegular() {
		data, err := readLimited(arg, inventory.MaxProgram)
		if err != nil {
			return verdicts{}, err
		}
		artifact.SHA256 = fmt.Sprintf("%x", sha256.Sum256(data))
	}
	v := verdicts{findings: scan.AuditFindings(r, artifact), notes: r.Notes}
	if artifact.Kind != audit.Image { // an image's own auditor lists it
		v.artifacts = []audit.Artifact{artifact}
	}
	return v, nil
}
