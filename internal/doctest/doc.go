// Package doctest keeps the documents true: paths and links that they name exist, commands are real, YAML is accepted
// by the code that reads it, and the reference of the configuration knows every key.
package doctest
