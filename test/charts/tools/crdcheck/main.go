// Command crdcheck says what an API server would say of CRDs and of objects of their kinds, with the API server's own code
// and without one. Arguments are CRDs as JSON files; each line of the input is an object, and each line of the output a
// list of what is wrong with it. What is wrong with a CRD ends it. Of Kubernetes' own kinds it says whether their fields
// are there, and hold what is of their type.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	v1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	crdvalidation "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	structural "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/client-go/kubernetes/scheme"
)

// kind holds what decides about objects of one kind.
type kind struct {
	schema *structural.Structural
	form   validation.SchemaValidator
	rules  *cel.Validator
}

// builtIn reads Kubernetes' own kinds, and refuses fields that they don't have.
var builtIn = serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict)

func main() {
	kinds := map[string]kind{}
	for _, file := range os.Args[1:] {
		name, made, err := load(file)
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", file, err)
			os.Exit(1)
		}
		kinds[name] = made
	}
	input := bufio.NewScanner(os.Stdin)
	input.Buffer(nil, 16<<20)
	output := bufio.NewWriter(os.Stdout)
	defer output.Flush()
	for input.Scan() {
		line, _ := json.Marshal(judge(kinds, input.Bytes()))
		output.Write(append(line, '\n'))
	}
}

func load(file string) (string, kind, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", kind{}, err
	}
	var given v1.CustomResourceDefinition
	if err := json.Unmarshal(text, &given); err != nil {
		return "", kind{}, err
	}
	v1.SetDefaults_CustomResourceDefinition(&given)
	v1.SetDefaults_CustomResourceDefinitionSpec(&given.Spec)
	// What the API server fills in when a CRD is created.
	given.Status.StoredVersions = []string{given.Spec.Versions[0].Name}
	var crd apiextensions.CustomResourceDefinition
	if err := v1.Convert_v1_CustomResourceDefinition_To_apiextensions_CustomResourceDefinition(&given, &crd, nil); err != nil {
		return "", kind{}, err
	}
	if errs := crdvalidation.ValidateCustomResourceDefinition(context.Background(), &crd); len(errs) > 0 {
		return "", kind{}, errs.ToAggregate()
	}
	var served apiextensions.CustomResourceValidation
	if err := v1.Convert_v1_CustomResourceValidation_To_apiextensions_CustomResourceValidation(given.Spec.Versions[0].Schema, &served, nil); err != nil {
		return "", kind{}, err
	}
	schema, err := structural.NewStructural(served.OpenAPIV3Schema)
	if err != nil {
		return "", kind{}, err
	}
	form, _, err := validation.NewSchemaValidator(served.OpenAPIV3Schema)
	if err != nil {
		return "", kind{}, err
	}
	return given.Spec.Names.Kind, kind{schema, form, cel.NewValidator(schema, true, celconfig.PerCallLimit)}, nil
}

// judge gives every reason for which the object would be refused, under kubectl's strict validation of fields.
func judge(kinds map[string]kind, text []byte) []string {
	problems := []string{}
	// Whole numbers become int64, as they do in an API server.
	var object map[string]interface{}
	if err := utiljson.Unmarshal(text, &object); err != nil {
		return append(problems, err.Error())
	}
	name, _ := object["kind"].(string)
	of, known := kinds[name]
	if !known {
		if _, _, err := builtIn.UniversalDeserializer().Decode(text, nil, nil); err != nil {
			problems = append(problems, err.Error())
		}
		return problems
	}
	unknown := pruning.PruneWithOptions(object, of.schema, true, structural.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
	for _, path := range unknown {
		problems = append(problems, "unknown field "+path)
	}
	errs := validation.ValidateCustomResource(nil, object, of.form)
	errs = append(errs, listtype.ValidateListSetsAndMaps(nil, of.schema, object)...)
	// Rules speak of values that have their form.
	if len(errs) == 0 && of.rules != nil {
		broken, _ := of.rules.Validate(context.Background(), nil, of.schema, object, nil, celconfig.RuntimeCELCostBudget)
		errs = append(errs, broken...)
	}
	for _, err := range errs {
		problems = append(problems, err.Error())
	}
	return problems
}
