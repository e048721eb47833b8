// Package app is the root of the module that an application imports. It has
// no requirements, so importing it adds nothing to the application's own.
package app
