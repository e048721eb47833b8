//go:build linux && (amd64 || arm64) && !portable

// This file lets the package declare a function without a body: runtimeArgs.
