package builder

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/spf13/cobra"

	"github.com/hardstand/hardstand/internal/cli"
	"github.com/hardstand/hardstand/sign/registry"
)

// openLedger opens the file that remembers what was published from here.
func openLedger(f *cli.Frame) (*registry.Ledger, error) {
	state, err := f.StateDir()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(state, 0o700); err != nil {
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	return registry.OpenLedger(filepath.Join(state, "ledger.jsonl")), nil
}

type replicateOptions struct {
	trustOptions
	json bool
}

func replicateCommand(f *cli.Frame) *cobra.Command {
	var o replicateOptions
	cmd := &cobra.Command{
		Use:   "replicate SOURCE TARGET...",
		Short: "Copy a signed image to other registries, and check each copy",
		Long: `Copy an image, its signatures and its attestations to other registries. Only
what verifies is copied, each target is verified before success is reported, and
a target that fails does not hide another.`,
		Example: `  hardstand replicate registry.example/base/static:1 eu.example/base/static:1 us.example/base/static:1 --key hardstand.pub
  hardstand replicate status registry.example/base/static:1 eu.example/base/static:1 --key hardstand.pub`,
		Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runReplicate(cmd.Context(), f, o, registry.Replicate, args)
		},
	}
	o.flags(cmd.PersistentFlags(), "key")
	cmd.PersistentFlags().BoolVar(&o.json, "json", false, "print the result as JSON")
	cmd.AddCommand(&cobra.Command{
		Use:     "status SOURCE TARGET...",
		Short:   "Say which targets have the image, without copying",
		Example: "  hardstand replicate status registry.example/base/static:1 eu.example/base/static:1 --key hardstand.pub",
		Args:    cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runReplicate(cmd.Context(), f, o, registry.ReplicaStatus, args)
		},
	})
	return cmd
}

type replicateFunc func(context.Context, registry.ReplicateOptions) ([]registry.Replica, error)

func runReplicate(ctx context.Context, f *cli.Frame, o replicateOptions, do replicateFunc, args []string) error {
	verify, err := o.options(ctx, f, "replicate")
	if err != nil {
		return err
	}
	source, err := registry.ParseReference(args[0])
	if err != nil {
		return cli.Usagef("%v", err)
	}
	targets, err := parseTags(args[1:])
	if err != nil {
		return err
	}
	ledger, err := openLedger(f)
	if err != nil {
		return err
	}
	replicas, err := do(ctx, registry.ReplicateOptions{Source: source, Targets: targets, Verify: verify, Ledger: ledger})
	if o.json {
		return errors.Join(f.PrintJSON(replicas), err)
	}
	for _, r := range replicas {
		fmt.Fprintf(f.Stdout, "%-10s %s %s %s\n", r.State, r.Name, r.Digest, r.Reason)
	}
	return err
}

func parseTags(list []string) ([]name.Tag, error) {
	var tags []name.Tag
	for _, s := range list {
		tag, err := registry.ParseTag(s)
		if err != nil {
			return nil, cli.Usagef("%v", err)
		}
		tags = append(tags, tag)
	}
	return tags, nil
}

type resignOptions struct {
	trustOptions
	signerOptions
	json bool
}

func resignCommand(f *cli.Frame) *cobra.Command {
	var o resignOptions
	cmd := &cobra.Command{
		Use:   "resign IMAGE...",
		Short: "Sign kept images with a new key",
		Long: `Sign kept images of a repository with a new key, as when a key is rotated. An
image that the old keys do not vouch for is not signed, whatever it is. The old
signatures stay.`,
		Example: "  hardstand resign registry.example/base/static:1 --old-key old.pub --key new.key",
		Args:    cobra.MinimumNArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return runResign(cmd.Context(), f, o, args) },
	}
	o.trustOptions.flags(cmd.Flags(), "old-key")
	o.signerOptions.flags(cmd.Flags())
	cmd.Flags().BoolVar(&o.json, "json", false, "print the result as JSON")
	return cmd
}

func runResign(ctx context.Context, f *cli.Frame, o resignOptions, args []string) error {
	verify, err := o.options(ctx, f, "resign")
	if err != nil {
		return err
	}
	opts := registry.ResignOptions{Verify: verify}
	for _, arg := range args {
		ref, err := registry.ParseReference(arg)
		if err != nil {
			return cli.Usagef("%v", err)
		}
		opts.Images = append(opts.Images, ref)
	}
	if opts.Signer, err = o.load(ctx, f, o.trustOptions.instance); err != nil {
		return err
	}
	images, err := registry.Resign(ctx, opts)
	if o.json {
		return errors.Join(f.PrintJSON(images), err)
	}
	for _, i := range images {
		fmt.Fprintf(f.Stdout, "%s %s signed %d %s\n", i.Name, i.Digest, i.Signed, i.Reason)
	}
	return err
}

type pruneOptions struct {
	keep, running []string
	apply, json   bool
}

func pruneCommand(f *cli.Frame) *cobra.Command {
	var o pruneOptions
	cmd := &cobra.Command{
		Use:   "prune REGISTRY/REPOSITORY",
		Short: "Plan what a repository no longer needs, and delete it on request",
		Long: `Plan which tags and digests of a repository nothing needs any more: not a kept
tag, not a platform of a kept index, not a signature or attestation of a kept
image, not a digest that runs somewhere. Nothing is deleted without --apply.`,
		Example: `  hardstand prune registry.example/base/static --keep 2026.11.1,2026.11.2
  hardstand prune registry.example/base/static --keep 2026.11.2 --running sha256:... --apply`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return runPrune(cmd.Context(), f, o, args[0]) },
	}
	cmd.Flags().StringSliceVar(&o.keep, "keep", nil, "`tags` to keep")
	cmd.Flags().StringSliceVar(&o.running, "running", nil, "`digests` in use somewhere")
	cmd.Flags().BoolVar(&o.apply, "apply", false, "delete what the plan says")
	cmd.Flags().BoolVar(&o.json, "json", false, "print the plan as JSON")
	return cmd
}

func runPrune(ctx context.Context, f *cli.Frame, o pruneOptions, repository string) error {
	if len(o.keep) == 0 && len(o.running) == 0 {
		return cli.Usagef("prune needs --keep or --running: it would delete everything")
	}
	repo, err := registry.ParseRepository(repository)
	if err != nil {
		return cli.Usagef("%v", err)
	}
	opts := registry.PruneOptions{Repository: repo, KeepTags: o.keep}
	for _, s := range o.running {
		h, err := v1.NewHash(s)
		if err != nil {
			return cli.Usagef("--running %s: %v", s, err)
		}
		opts.Running = append(opts.Running, h)
	}
	plan, err := registry.PlanPrune(ctx, opts)
	if err != nil {
		return err
	}
	if o.json {
		err = f.PrintJSON(plan)
	} else {
		for _, t := range plan.Untag {
			fmt.Fprintf(f.Stdout, "untag  %s %s\n", t.Tag, t.Digest)
		}
		for _, d := range plan.Delete {
			fmt.Fprintf(f.Stdout, "delete %s\n", d)
		}
		for _, t := range plan.Detach {
			fmt.Fprintf(f.Stdout, "detach %s\n", t.Tag)
		}
		fmt.Fprintf(f.Stdout, "keeps %d digests\n", len(plan.Kept))
	}
	if err != nil || !o.apply || plan.Empty() {
		return err
	}
	return registry.Prune(ctx, opts, plan)
}
