package collector

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/hardstand/hardstand/canary/alert"
	"github.com/hardstand/hardstand/canary/collector"
	"github.com/hardstand/hardstand/internal/cli"
)

type testOptions struct {
	key, ca      string
	build, decoy string
	timeout      time.Duration
	json         bool
}

func testCommand(f *cli.Frame) *cobra.Command {
	var o testOptions
	cmd := &cobra.Command{
		Use:   "test URL",
		Short: "Fire a drill through the whole way and report each sink",
		Long: `Send a drill, signed like any alarm, to a collector and wait until every sink
has taken it. The collector notes it as the build's last drill. The exit code is
3 when a sink did not take it in time.`,
		Example: `  hardstand canary test https://alarms.example.com --build 9f31c2
  hardstand canary test https://127.0.0.1:8443 --ca tls.crt --build web --timeout 1m`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return runTest(cmd.Context(), f, o, args[0]) },
	}
	cmd.Flags().StringVar(&o.key, "key", "", "master secret `file` (default: canary.key in the configuration directory)")
	cmd.Flags().StringVar(&o.ca, "ca", "", "PEM `file` that the collector is verified with (default: the system's certificates)")
	cmd.Flags().StringVar(&o.build, "build", "drill", "build `id` of the image whose way is tried")
	cmd.Flags().StringVar(&o.decoy, "decoy", "drill", "`name` of the decoy")
	cmd.Flags().DurationVar(&o.timeout, "timeout", 30*time.Second, "how long sinks may take")
	cmd.Flags().BoolVar(&o.json, "json", false, "print as JSON")
	return cmd
}

const (
	maxReport = 1 << 20 // bytes of the collector's answer
	pollDrill = 200 * time.Millisecond
)

func runTest(ctx context.Context, f *cli.Frame, o testOptions, base string) error {
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return cli.Usagef("%q is no URL of a collector", base)
	}
	var files []string
	if o.key != "" {
		files = []string{o.key}
	}
	secrets, err := masters(f, files)
	if err != nil {
		return err
	}
	for _, name := range []string{o.build, o.decoy} {
		if err := alert.CheckName(name); err != nil {
			return cli.Usagef("%v", err)
		}
	}
	client, err := o.client()
	if err != nil {
		return err
	}
	line := secrets[0].Drill(o.build, o.decoy, f.Now())
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	if _, err := post(ctx, client, u.JoinPath("v1/alerts").String(), line); err != nil {
		return fmt.Errorf("send drill: %w", err)
	}
	report, err := await(ctx, client, u.JoinPath("v1/drills").String(), line)
	if err != nil {
		return err
	}
	return o.print(f, report)
}

func (o testOptions) client() (*http.Client, error) {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	if o.ca != "" {
		pem, err := readLimited(o.ca, maxConfig)
		if err != nil {
			return nil, fmt.Errorf("read the collector's CA: %w", err)
		}
		t.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !t.TLSClientConfig.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read the collector's CA: %s holds no certificate", o.ca)
		}
	}
	return &http.Client{Transport: t}, nil
}

func post(ctx context.Context, client *http.Client, to string, line []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(line))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "text/plain")
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxReport))
	if err != nil {
		return nil, err
	}
	switch response.StatusCode {
	case http.StatusOK, http.StatusAccepted:
		return body, nil
	case http.StatusForbidden:
		return nil, errors.New("the collector refused it: its master secret is another, or the clocks differ")
	}
	return nil, fmt.Errorf("the collector answered %s", response.Status)
}

// await asks until every sink has taken the drill or the time is up.
func await(ctx context.Context, client *http.Client, to string, line []byte) (collector.DrillReport, error) {
	var report collector.DrillReport
	for {
		body, err := post(ctx, client, to, line)
		if err != nil {
			if ctx.Err() != nil && report.Incident != 0 {
				return report, nil
			}
			return report, fmt.Errorf("ask for the drill: %w", err)
		}
		if err := json.Unmarshal(body, &report); err != nil {
			return report, fmt.Errorf("ask for the drill: %w", err)
		}
		waiting := false
		for _, s := range report.Sinks {
			waiting = waiting || !s.Delivered
		}
		if !waiting {
			return report, nil
		}
		select {
		case <-ctx.Done():
			return report, nil
		case <-time.After(pollDrill):
		}
	}
}

func (o testOptions) print(f *cli.Frame, report collector.DrillReport) error {
	missing := 0
	for _, s := range report.Sinks {
		if !s.Delivered {
			missing++
		}
		if o.json {
			continue
		}
		if s.Delivered {
			fmt.Fprintf(f.Stdout, "%-20s taken after %v\n", s.Sink, s.After.Round(time.Millisecond))
		} else {
			fmt.Fprintf(f.Stdout, "%-20s NOT TAKEN after %d attempts: %s\n", s.Sink, s.Attempts, s.Error)
		}
	}
	if o.json {
		if err := f.PrintJSON(report); err != nil {
			return err
		}
	}
	if len(report.Sinks) == 0 {
		return &cli.RefusedError{Err: errors.New("the collector has no sink: nobody would be told")}
	}
	if missing > 0 {
		return &cli.RefusedError{Err: fmt.Errorf("%d of %d sinks did not take the drill", missing, len(report.Sinks))}
	}
	return nil
}
