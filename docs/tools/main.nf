// nextflow run docs/tools/main.nf --photographs 'photographs/**.{jpg,png,tif}'
// Maps of the photographs, 500 a task, each under the name of its photograph; no two may have one.
// infer ends with 3 where some photographs failed: the others' maps are there.

params.photographs = 'photographs/**.{jpg,png,tif}'
params.out = 'maps'

process VESSELS {
    cpus 4
    publishDir params.out, mode: 'copy', saveAs: { name -> name - 'maps/' }

    input:
    path photographs, stageAs: 'photographs/*'
    val part

    output:
    path 'maps/*.png'
    path "maps/status-${part}.tsv"

    script:
    """
    fundusseg infer photographs maps --layout none --jobs ${task.cpus} || [ \$? -eq 3 ]
    mv maps/status.tsv maps/status-${part}.tsv
    """
}

workflow {
    groups = Channel.fromPath(params.photographs).collate(500).toList().flatMap { it.withIndex() }
    VESSELS(groups.map { it[0] }, groups.map { it[1] })
}
