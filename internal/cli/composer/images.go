package composer

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/hardstand/hardstand/internal/cli"
)

func imagesCommand(f *cli.Frame) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "images [NAME]",
		Short: "List the built-in images, or show one's definition",
		Example: `  hardstand images
  hardstand images base > mine.yaml          # a definition to start from`,
		Args: cobra.MaximumNArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return builtin(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 {
				return showImage(f, args[0])
			}
			return listImages(f, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print as JSON")
	return cmd
}

func listImages(f *cli.Frame, asJSON bool) error {
	type row struct {
		Name        string   `json:"name"`
		Description string   `json:"description"`
		Suite       string   `json:"suite"`
		Platforms   []string `json:"platforms"`
		Variants    []string `json:"variants,omitempty"`
		Locked      string   `json:"locked,omitempty"`
	}
	var rows []row
	for _, name := range builtin() {
		family, _, err := loadFamily(name)
		if err != nil {
			return err
		}
		s, err := family.source("")
		if err != nil {
			return err
		}
		r := row{Name: name, Description: s.Definition.Description, Suite: s.Definition.Debian.Suite}
		for _, p := range s.Definition.Platforms {
			r.Platforms = append(r.Platforms, p.String())
		}
		for _, v := range family.Variants {
			r.Variants = append(r.Variants, v.Definition.Name)
		}
		if s.Lock != nil && len(s.Lock.Suites) > 0 {
			newest := s.Lock.Suites[0].Date
			for _, suite := range s.Lock.Suites {
				if suite.Date.After(newest) {
					newest = suite.Date
				}
			}
			r.Locked = newest.Format("2006-01-02")
		}
		rows = append(rows, r)
	}
	if asJSON {
		return f.PrintJSON(rows)
	}
	for _, r := range rows {
		fmt.Fprintf(f.Stdout, "%-20s %-9s locked %-11s %s\n", r.Name, r.Suite, r.Locked, r.Description)
	}
	return nil
}

func showImage(f *cli.Frame, name string) error {
	data, err := definitionText(name)
	if err != nil {
		return err
	}
	_, err = f.Stdout.Write(data)
	return err
}
