package auditor

import (
	"context"
	"fmt"

	"github.com/hardstand/hardstand/audit"
	"github.com/hardstand/hardstand/audit/workload"
	"github.com/hardstand/hardstand/internal/cli"
)

func auditWorkload(ctx context.Context, f *cli.Frame, o *auditOptions, t target) (verdicts, error) {
	data := t.data
	if data == nil {
		var err error
		if data, err = readLimited(t.path, workload.MaxSize); err != nil {
			return verdicts{}, err
		}
	}
	opts := workload.Options{Compose: o.readCompose}
	if len(o.image.keys) > 0 || o.image.identity != "" {
		opts.Verify = o.image.verifier(f)
	}
	res, err := workload.Audit(ctx, workload.Input{Name: t.arg, Kind: t.kind, Data: data}, opts)
	if err != nil && len(res.Findings) == 0 {
		return verdicts{}, err
	}
	return verdicts{artifacts: []audit.Artifact{res.Artifact}, findings: res.Findings, notes: res.Notes}, err
}

// verifier asks for each image once, however many containers run it.
func (o *imageOptions) verifier(f *cli.Frame) func(context.Context, string) (string, error) {
	type answer struct {
		by  string
		err error
	}
	known := map[string]answer{}
	return func(ctx context.Context, ref string) (string, error) {
		if a, ok := known[ref]; ok {
			return a.by, a.err
		}
		by, err := o.signer(ctx, f, ref)
		known[ref] = answer{by, err}
		return by, err
	}
}

// signer says who signed an image.
func (o *imageOptions) signer(ctx context.Context, f *cli.Frame, ref string) (string, error) {
	args := []string{"verify", "--json"}
	for _, k := range o.keys {
		args = append(args, "--key", k)
	}
	for flag, value := range map[string]string{"--identity": o.identity, "--issuer": o.issuer, "--trusted-root": o.trustedRoot} {
		if value != "" {
			args = append(args, flag, value)
		}
	}
	_, code, err := cli.Ask(ctx, f, "hardstand-sign", append(args, "--", ref)...)
	switch {
	case err != nil:
		return "", err
	case code == cli.ExitDone:
		return "a trusted key or identity", nil
	case code == cli.ExitRefused:
		return "", &workload.UnsignedError{Reason: "hardstand verify refuses it"}
	}
	return "", fmt.Errorf("hardstand verify ended with %d", code)
}
