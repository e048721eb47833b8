package builder

import (
	"github.com/spf13/cobra"

	"github.com/hardstand/hardstand/internal/cli"
)

func auditCommand(f *cli.Frame) *cobra.Command {
	return cli.HandOver(f, cli.AuditExecutable, "Check against the container hardening guide, with evidence and fixes",
		"  hardstand audit .", "audit")
}

func scanCommand(f *cli.Frame) *cobra.Command {
	return cli.HandOver(f, cli.AuditExecutable, "Look for known vulnerabilities in packages and programs",
		"  hardstand scan oci:app", "scan")
}

func runtimeCommand(f *cli.Frame) *cobra.Command {
	return cli.HandOver(f, cli.AuditExecutable, "Write hardened run-time configuration for an image",
		"  hardstand runtime docker oci:app --repository registry.example/app", "runtime")
}

func collectorCommand(f *cli.Frame) *cobra.Command {
	return cli.HandOver(f, cli.CollectorExecutable, "Receive, verify and pass on the alarms of decoys",
		"  hardstand canary collector --help", "canary", "collector")
}

func canaryTestCommand(f *cli.Frame) *cobra.Command {
	return cli.HandOver(f, cli.CollectorExecutable, "Fire a drill through the whole way and report each sink",
		"  hardstand canary test https://alarms.example.com", "canary", "test")
}

func canaryAdminTokenCommand(f *cli.Frame) *cobra.Command {
	return cli.HandOver(f, cli.CollectorExecutable, "Make a token for signing in to the dashboard",
		"  hardstand canary admin-token admin.token", "canary", "admin-token")
}
