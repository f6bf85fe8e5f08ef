plugins {
    id("com.android.library") version "8.13.0"
    id("org.jetbrains.kotlin.android") version "2.2.21"
}

android {
    namespace = "health.carekey.wallet.android"
    compileSdk = 35

    defaultConfig {
        // Keys that ask for a biometric of class 3 at every use, by setUserAuthenticationParameters.
        minSdk = 30
        consumerProguardFiles("consumer-rules.pro")
    }

    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_17
        targetCompatibility = JavaVersion.VERSION_17
    }

    sourceSets["main"].kotlin {
        // The generated sources are the same as on the JVM; the software key store beside them is for tests.
        srcDir("../../jvm/src/main/kotlin")
        exclude("health/carekey/wallet/software/**")
    }
}

kotlin {
    jvmToolchain(17)
}

dependencies {
    api("org.jetbrains.kotlinx:kotlinx-coroutines-core:1.10.2")
    implementation("net.java.dev.jna:jna:5.17.0@aar")
}
