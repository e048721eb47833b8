package composer

import (
	"fmt"

	"github.com/spf13/pflag"

	"github.com/hardstand/hardstand/build/spec"
	"github.com/hardstand/hardstand/internal/cli"
)

// canaryOptions are what the command line says about decoys. It goes before the
// definition.
type canaryOptions struct {
	guard               bool
	collector, ca, zone string
}

const maxCA = 64 << 10 // bytes of a file with certificates

func (o *canaryOptions) flags(flags *pflag.FlagSet) {
	flags.BoolVar(&o.guard, "guard", false, "start the application below the guard, which reports what it executes")
	flags.StringVar(&o.collector, "collector", "", "https `URL` that decoys report to")
	flags.StringVar(&o.ca, "collector-ca", "", "PEM `file` that the collector is verified with (default: the image's CA certificates)")
	flags.StringVar(&o.zone, "collector-zone", "", "DNS `zone` that the collector answers for")
}

func (o *canaryOptions) apply(d *spec.Definition) error {
	if *o == (canaryOptions{}) {
		return nil
	}
	if d.Canary == nil {
		return cli.Usagef("--guard and --collector need decoys, and %s has none", d.Name)
	}
	if o.guard && d.Canary.Guard == nil {
		d.Canary.Guard = &spec.Guard{}
	}
	if o.collector != "" {
		d.Canary.Collector = o.collector
	}
	if o.zone != "" {
		d.Canary.Zone = o.zone
	}
	if o.ca != "" {
		pem, err := ReadLimited(o.ca, maxCA)
		if err != nil {
			return fmt.Errorf("read the collector's CA: %w", err)
		}
		d.Canary.CA = string(pem)
	}
	if err := d.CheckCanary(); err != nil {
		return fmt.Errorf("%s: %w", d.Name, err)
	}
	return nil
}
